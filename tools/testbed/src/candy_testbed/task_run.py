"""A ``Run`` for tests that call an executor directly."""

from __future__ import annotations

import asyncio
import time

import structlog

from candy_core import Locale, Run


def task_run(*, seconds: float = 60.0, instant: float | None = None, locale: Locale = Locale.EN) -> Run:
    """A run with ``seconds`` left, of a task that started at ``instant`` (default: now)."""
    return Run(
        task_id="task",
        time=time.time() if instant is None else instant,
        locale=locale,
        deadline=asyncio.get_running_loop().time() + seconds,
        logger=structlog.get_logger(),
    )
