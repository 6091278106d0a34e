"""Logs: one JSON object per line, without secrets, from structlog and the standard library."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from candy_core import Secret
from candy_core.config.settings import LogLevel
from candy_core.log_output import configure, masked, set_level


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Log:
    def __init__(self) -> None:
        self.stream = io.BytesIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log = Log()
    configure(LogLevel.INFO, stream=log.stream)
    yield log
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def logger(name: str = "candy.test") -> Any:
    return structlog.get_logger(name)


def test_a_line_is_an_object_with_time_level_logger_event_and_bound_values(log: Log) -> None:
    logger().bind(plugin="prometheus").info("item ended", item_id=7, status="normal")
    line = log.line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert abs((datetime.fromisoformat(line.pop("time")) - datetime.now(UTC)).total_seconds()) < 60
    assert line == {
        "level": "info",
        "logger": "candy.test",
        "event": "item ended",
        "plugin": "prometheus",
        "item_id": 7,
        "status": "normal",
    }


def test_records_of_the_standard_library_look_the_same(log: Log) -> None:
    with bound_contextvars(task_id="t-1"):
        logging.getLogger("aiohttp.access").warning("%s took %d s", "it", 5)
        logging.getLogger("aiohttp.access").info("five", extra={"a": 1})
        logging.getLogger("aiohttp.access").debug("unseen")
    first, second = log.lines
    assert (first["level"], first["logger"], first["event"]) == ("warning", "aiohttp.access", "it took 5 s")
    assert first["task_id"] == "t-1"
    assert second["level"] == "info"


def test_python_warnings_are_logged() -> None:
    code = (
        "import warnings; from candy_core.log_output import configure; configure(); warnings.warn('old', UserWarning)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert "UserWarning: old" in json.loads(answer.stdout)["event"]
    assert answer.stderr == ""


def test_the_level_changes_for_bound_loggers(log: Log) -> None:
    ours = logger().bind(a=1)
    ours.info("one")
    theirs = logging.getLogger("somebody")
    ours.debug("unseen")
    set_level(LogLevel.DEBUG)
    ours.debug("two")
    theirs.debug("three")
    set_level(LogLevel.ERROR)
    ours.warning("unseen")
    theirs.warning("unseen")
    ours.error("four")
    assert [line["event"] for line in log.lines] == ["one", "two", "three", "four"]
    assert not ours.is_enabled_for(logging.WARNING)


def test_a_traceback_is_one_field(log: Log) -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        logger().exception("it failed")
        logger().warning("given", exc_info=error)
        logging.getLogger("x").exception("theirs")
    for line in log.lines:
        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert line["exception"].endswith("ValueError: broken")
    assert [line["level"] for line in log.lines] == ["error", "warning", "error"]
    logger().error("none", exc_info=True)
    assert "exception" not in log.lines[-1]


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": "hunter2"},
        {"password": "hunter2"},
        {"ssh_password": "hunter2"},
        {"API_KEY": "hunter2"},
        {"x": {"X-API-Key": "hunter2"}},
        {"headers": {"Authorization": "Bearer hunter2"}},
        {"params": [{"private_key": ["hunter2"]}]},
        {"token": 5, "x": Secret("hunter2")},
        {"x": [Secret("hunter2")]},
        {"x": ValueError(Secret("hunter2"))},
        {"url": "https://me:hunter2@example.com/"},
        {"x": {1: {"passphrase": b"hunter2"}}},
        {"callback_secret": "hunter2", "cookie": "a=hunter2"},
        {"event": Secret("hunter2")},
    ],
)
def test_nothing_secret_is_logged(log: Log, fields: dict[str, Any]) -> None:
    logger().info(fields.pop("event", "event"), **fields)
    assert log.line["event"]
    assert b"hunter2" not in log.stream.getvalue()


def test_a_password_in_a_url_is_masked_in_messages_and_tracebacks(log: Log) -> None:
    logging.getLogger("x").warning("cannot reach %s", "http://me:hunter2@host/")
    try:
        raise OSError("no route to redis://:hunter2@host/")
    except OSError:
        logger().exception("it failed")
    assert b"hunter2" not in log.stream.getvalue()
    assert log.lines[0]["event"] == "cannot reach http://******@host/"


def test_other_values_are_not_masked() -> None:
    value = {"api_keys_file": "/keys", "secret": None, "token": "", "secrets_allowed": True, "monkey": "a", "at": "a@b"}
    assert masked(value) == value


def test_any_value_can_be_logged(log: Log) -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    logger().info(
        "a\udcffb",
        big=2**80,
        nan=float("nan"),
        broken=Broken(),
        raw=b"\xff",
        cyclic=cyclic,
        path=Path("/a"),
        keys={1: 2, None: 3, (1, 2): 4},
        surrogate={"\ud800": "\udcff"},
        some={1},
        when=datetime(2024, 1, 1, tzinfo=UTC),
        last="here",
    )
    line = log.line
    assert line["last"] == "here"
    assert line["big"] == 2**80
    assert line["path"] == "/a"


def test_a_closed_or_full_output_raises_no_error() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        configure(LogLevel.INFO, stream=full)
        logger().info("lost")
        logging.getLogger("x").warning("lost")
    logger().info("lost too")
    structlog.reset_defaults()


def test_logging_is_fast_and_lines_below_the_level_are_almost_free() -> None:
    code = """
import time, timeit, structlog
from candy_core.log_output import configure
from candy_core.config.settings import LogLevel
configure(LogLevel.INFO, stream=open("/dev/null", "wb"))
log = structlog.get_logger("x").bind(task_id="t")
print(min(timeit.repeat(lambda: log.debug("event", a=1), timer=time.process_time, number=2000)) / 2000 * 1e6)
print(min(timeit.repeat(lambda: log.info("event", a=1), timer=time.process_time, number=2000)) / 2000 * 1e6)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    below, above = map(float, answer.stdout.split())
    assert below < 2  # microseconds; ten times what was measured, for a busy machine
    assert above < 100
