"""Captures everything that a plugin writes: structlog, logging, warnings, prints."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import traceback
import urllib.parse
import warnings
from collections.abc import Collection, Iterator, MutableMapping
from typing import Any

import structlog

from candy_core.ports.context import Logger


class LogCapture:
    """The captured texts."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        """Pairs of where a text was found, and the text."""

    def add(self, where: str, text: str) -> None:
        """Add one text."""
        self.texts.append((where, text))

    def add_error(self, where: str, error: BaseException) -> None:
        """Add an exception as a log would show it, with its causes and its traceback."""
        self.add(where, "".join(traceback.format_exception(error)) + repr(error))

    def logger(self, name: str) -> Logger:
        """A structlog logger whose lines are captured at every level."""
        logger: Logger = structlog.wrap_logger(
            None,
            processors=[structlog.contextvars.merge_contextvars, self._structlog],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
            logger_name=name,
        )
        return logger

    @contextlib.contextmanager
    def capture(self) -> Iterator[None]:
        """Capture the output of module-level loggers, warnings and prints as well."""
        processors = structlog.get_config()["processors"]
        before, root = list(processors), logging.getLogger()
        handler, level = _Handler(self), root.level
        printed = io.StringIO()
        processors[:] = [structlog.contextvars.merge_contextvars, self._structlog]
        root.addHandler(handler)
        root.setLevel(logging.NOTSET + 1)
        try:
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(printed),
                warnings.catch_warnings(record=True) as warned,
            ):
                warnings.simplefilter("always")
                yield
        finally:
            processors[:] = before
            root.removeHandler(handler)
            root.setLevel(level)
            for each in warned:
                self.add("a warning", str(each.message))
            self.add("standard output", printed.getvalue())

    def _structlog(self, _: Any, method: str, event: MutableMapping[str, Any]) -> str:
        error = event.get("exc_info")
        if error:
            self.add(f"the log ({method})", traceback.format_exc() if error is True else _formatted(error))
        self.add(f"the log ({method})", f"{event!r} {event.get('event')}")
        raise structlog.DropEvent


class _Handler(logging.Handler):
    def __init__(self, log: LogCapture) -> None:
        super().__init__(logging.NOTSET)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        where = f"the log of {record.name} ({record.levelname})"
        self._log.add(where, f"{record.getMessage()} {record.args!r}")
        if record.exc_info:
            self._log.add(where, _formatted(record.exc_info))


def _formatted(error: Any) -> str:
    exception = error[1] if isinstance(error, tuple) else error
    return "".join(traceback.format_exception(exception)) if isinstance(exception, BaseException) else str(error)


def spellings(secret: str) -> dict[str, str]:
    """The spellings in which a secret may appear, with a name for each."""
    raw = secret.encode("utf-8", "surrogatepass")
    return {
        json.dumps(secret)[1:-1]: "as JSON",
        repr(secret)[1:-1]: "as a repr",
        urllib.parse.quote(raw, safe=""): "quoted for an address",
        base64.b64encode(raw).decode().rstrip("="): "in base64",
        base64.urlsafe_b64encode(raw).decode().rstrip("="): "in base64",
        raw.hex(): "in hex",
        secret: "as it is",  # last, so that it wins if several are equal
    }


def find_secrets(text: str, secrets: Collection[str]) -> list[tuple[int, str]]:
    """The secrets that a text contains: the index of each, and how it is spelled."""
    return [
        (number, how)
        for number, secret in enumerate(secrets)
        for spelling, how in spellings(secret).items()
        if spelling in text
    ]
