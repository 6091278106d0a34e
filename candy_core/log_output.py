"""Logging: one JSON object per line on standard output, for structlog and the standard library.

A line has ``time`` (RFC 3339, UTC), ``level``, ``event``, ``logger``, the bound values (``task_id``,
``item_id``, ``plugin`` …), and ``exception`` with the traceback. Only ``serve`` logs (contract section 7).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO

import orjson
import structlog
from structlog.contextvars import merge_contextvars

from candy_core.config.settings import LogLevel
from candy_core.model.secret import Secret

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|store[_-]?key|authorization|cookie", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_MAX_DEPTH = 6
"""How deep a value is searched for secrets; deeper values are not logged."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(level: LogLevel = LogLevel.INFO, *, stream: BinaryIO | None = None) -> None:
    """Send every log line to ``stream``, by default standard output."""
    writer = _LineWriter(stream or sys.stdout.buffer)
    set_level(level)
    structlog.configure(
        processors=[merge_contextvars, render],
        wrapper_class=_SwitchableLogger,
        logger_factory=writer.named,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    root.addHandler(_Handler(writer))


def silence() -> None:
    """Log nothing: for commands that use standard output for their result."""
    structlog.configure(
        processors=[_drop], wrapper_class=_SwitchableLogger, logger_factory=_LineWriter(sys.stderr.buffer).named
    )
    set_level(LogLevel.CRITICAL)
    logging.getLogger().addHandler(logging.NullHandler())


def set_level(level: LogLevel) -> None:
    """Set the level of every logger at once, including those that are already bound."""
    for name, method in vars(structlog.make_filtering_bound_logger(level.number)).items():
        if not name.startswith("__"):
            setattr(_SwitchableLogger, name, method)
    logging.getLogger().setLevel(level.number)


def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """The last structlog processor: the line as JSON, with secrets masked. Never raises."""
    line: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _LEVELS.get(method, method),
        "logger": event.pop("logger", None) or getattr(logger, "name", "candy"),
        "event": _masked(event.pop("event", ""), _MAX_DEPTH),
    }
    exception = _traceback(event.pop("exc_info", None))
    for key, value in event.items():
        line[key] = _hidden(value) if _is_secret(key) else _masked(value, _MAX_DEPTH)
    if exception:
        line["exception"] = _masked(exception, 1)
    try:
        return orjson.dumps(line, default=_text, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):  # an integer past 64 bits, or a lone surrogate
        return json.dumps(line, default=_text, skipkeys=True).encode()


def masked(value: Any) -> Any:
    """A JSON value with secrets masked, as in the log."""
    return _masked(value, 100)


class _SwitchableLogger(structlog.BoundLoggerBase):
    """A filtering logger whose methods are replaced by :func:`set_level`.

    structlog has one class per level, and a bound, cached logger keeps its class. Replacing the methods of one class
    changes the level of all loggers, and a line below the level still costs only a call.
    """


class _LineWriter:
    """Writes lines. A line that cannot be written is lost: a full disk or a closed pipe must not stop the agent."""

    def __init__(self, stream: BinaryIO, name: str = "candy", lock: threading.Lock | None = None) -> None:
        self.name = name
        self._stream = stream
        self._lock = lock or threading.Lock()

    def named(self, *names: Any) -> _LineWriter:
        """structlog's logger factory: the argument of ``get_logger`` is the logger's name."""
        return _LineWriter(self._stream, str(names[0]), self._lock) if names else self

    def msg(self, line: bytes) -> None:
        try:
            with self._lock:
                self._stream.write(line + b"\n")
                self._stream.flush()
        except (OSError, ValueError):
            pass

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _Handler(logging.Handler):
    """Forwards records of the standard library's ``logging``."""

    def __init__(self, writer: _LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: dict[str, Any] = {"logger": record.name, "event": record.getMessage(), "exc_info": record.exc_info}
            event = dict(merge_contextvars(None, record.levelname.lower(), event))
            self._writer.msg(render(self._writer, record.levelname.lower(), event))
        except Exception:  # noqa: BLE001  # message and arguments that do not match: logging reports them
            self.handleError(record)


_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "err": "error", "msg": "info"}


def _drop(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    raise structlog.DropEvent


@lru_cache(maxsize=1024)
def _is_secret(key: object) -> bool:
    return isinstance(key, str) and bool(_SECRET_KEY.search(key)) and not key.endswith("_file")


def _hidden(value: object) -> object:
    return value if value is None or value is True or value is False or value == "" else Secret.MASK


def _masked(value: Any, depth: int) -> Any:
    """The value with secrets masked: Secret objects, values of keys like ``password``, and passwords in URLs."""
    if isinstance(value, str):
        return _URL_PASSWORD.sub(Secret.MASK, value) if "://" in value and "@" in value else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): _hidden(inner) if _is_secret(str(key)) else _masked(inner, depth - 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner, depth - 1) for inner in value]
    return value


def _text(value: object) -> str:
    """Text for a value that is not JSON. A Secret is masked, since its ``str`` is."""
    try:
        if isinstance(value, BaseException):
            text = f"{type(value).__name__}: {value}"
        elif isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
        else:
            text = str(value)
    except Exception as error:  # noqa: BLE001  # a broken __str__ must not break the log
        return f"<{type(value).__name__}: {type(error).__name__} in its __str__>"
    return str(_masked(text, 1)).encode("utf-8", "replace").decode()


def _traceback(exc_info: Any) -> str | None:
    if not exc_info:
        return None
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    else:
        error = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
    return "".join(traceback.format_exception(error)).rstrip("\n") if error else None
