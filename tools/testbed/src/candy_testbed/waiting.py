"""Waiting for what no event tells of."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

LONG = 60.0
"""Seconds after which something will not happen any more, on however busy a machine."""


@overload
async def eventually(ask: Callable[[], Awaitable[T]], within: float = LONG) -> T: ...


@overload
async def eventually(ask: Callable[[], T], within: float = LONG) -> T: ...


async def eventually(ask: Callable[[], Any], within: float = LONG) -> Any:
    """What ``ask`` gives, as soon as that counts as true; it may be a coroutine function.

    Raises ``AssertionError`` after ``within`` seconds. It is no measure of speed: nothing that is right fails by it.
    """
    deadline = time.monotonic() + within
    while True:
        found = ask()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:g} s it was still {found!r}: {_source(ask)}")
        await asyncio.sleep(0.005)


def _source(ask: Callable[[], object]) -> str:
    """The lines that define it."""
    try:
        return inspect.getsource(ask).strip()
    except (OSError, TypeError):
        return repr(ask)
