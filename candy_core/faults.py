"""Describes faults of plugins in one line.

A plugin is foreign code: it may raise anything, even ``SystemExit``, and the exception's own ``__str__`` may raise as
well. The description has the exception's class, its message and where it was raised.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

import attrs

from candy_core.model.secret import Secret

MAX_LENGTH = 300
_SHORTEST_SECRET = 4  # shorter ones may be part of ordinary words


class PluginFault(Exception):
    """A plugin cannot be used. The message says why in one line."""


@contextmanager
def guard(what: str) -> Iterator[None]:
    """Turn everything that a plugin raises into :class:`PluginFault`, except ``KeyboardInterrupt``.

    ``what`` names the action of the plugin, at the start of the message ``… raised ValueError: …``.
    """
    try:
        yield
    except (PluginFault, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginFault(f"{what} raised {describe(error)}") from error


def describe(error: BaseException, *, hidden: Iterable[Secret] = ()) -> str:
    """The class, message and location of ``error`` in one line of about 300 characters, with ``hidden`` masked.

    In a group of exceptions the first is described and the others are counted.
    """
    found = list(leaves(error))
    first = found[0]
    message = mask(" ".join(_text_of(first).split()), hidden)
    if len(message) > MAX_LENGTH:
        message = message[: MAX_LENGTH - 1] + "…"
    line = type(first).__name__ + (f": {message}" if message else "") + _location(first.__traceback__)
    return line if len(found) == 1 else f"{line} (and {len(found) - 1} more)"


def traceback_of(error: BaseException, *, hidden: Iterable[Secret] = ()) -> str:
    """The traceback as text for the log, with ``hidden`` masked."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  # the exception's own __str__ may raise
        text = describe(error)
    return mask(text, hidden)


def mask(text: str, hidden: Iterable[Secret]) -> str:
    """``text`` with the secrets masked."""
    for secret in hidden:
        if len(secret.reveal()) >= _SHORTEST_SECRET:
            text = text.replace(secret.reveal(), Secret.MASK)
    return text


def secrets_of(settings: object) -> tuple[Secret, ...]:
    """Every :class:`Secret` in a record, including nested records, lists and mappings."""
    if isinstance(settings, Secret):
        return (settings,)
    inner: Iterable[object] = ()
    if isinstance(settings, dict):
        inner = settings.values()
    elif isinstance(settings, list | tuple):
        inner = settings
    elif attrs.has(kind := type(settings)):
        inner = [getattr(settings, field.name, None) for field in attrs.fields(kind)]
    return tuple(secret for value in inner for secret in secrets_of(value))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group at any depth, or the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a plugin's __str__ may raise
        return "(its message cannot be read)"


def _location(trace: TracebackType | None) -> str:
    """Where it was raised, as module and line, since paths would reveal details of the machine."""
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "?")
    return f" ({module}, line {trace.tb_lineno})"
