"""The plugin ``disk``: what it announces, and the executor itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import (
    ExecutorSpec,
    Item,
    Locale,
    Outcome,
    PluginContext,
    Reason,
    Run,
    Sample,
    Threshold,
    hookimpl,
    judge,
)


@frozen(kw_only=True)
class DiskParams:
    """An item's ``params``. The core parses them from strings or numbers; invalid ones are ``bad_params``."""

    path: str
    threshold: Threshold | None = None
    critical: Threshold | None = None


@frozen(kw_only=True)
class DiskSettings:
    """The section ``plugins.disk``, or ``CANDY_DISK_…``. Every setting has a default."""

    paths: tuple[str, ...] = ("/",)


class DiskExecutor:
    """Runs items of the type ``disk``; calls may run concurrently."""

    def __init__(self, settings: DiskSettings) -> None:
        self._paths = settings.paths

    async def run(self, item: Item[DiskParams], run: Run) -> Outcome:
        """Run one item. An expected failure is an outcome with a reason; an exception is a bug of the plugin."""
        path = item.params.path
        if path not in self._paths:
            allowed = ", ".join(self._paths)
            return Outcome.failed(Reason.NOT_ALLOWED, f"{path} is not among plugins.disk.paths ({allowed})")
        try:
            # Blocking calls run in a thread: all plugins share the event loop.
            usage = await asyncio.to_thread(shutil.disk_usage, path)
        except OSError as error:
            return Outcome.failed(Reason.UNREACHABLE, f"{path}: {error.strerror}")
        percent = 100 * usage.used / usage.total
        return judge(
            [Sample(instance=path, value=percent, text=f"{percent:.1f}")],
            scalar=False,
            threshold=item.params.threshold,
            critical=item.params.critical,
            locale=run.locale,
            # The noun for a sample in messages; the default is "node".
            noun="path" if run.locale is Locale.EN else "路径",
            head=(f"Path: {path}", f"Used: {usage.used} of {usage.total} bytes"),
        )


@asynccontextmanager
async def open_disk(context: PluginContext, settings: DiskSettings) -> AsyncIterator[DiskExecutor]:
    """Connect before the yield, and disconnect after it: the executor is open for as long as the agent runs."""
    yield DiskExecutor(settings)


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[DiskParams, DiskSettings]]:
    """Announce the item type ``disk``. Announcing does no I/O."""
    yield ExecutorSpec(name="disk", params=DiskParams, settings=DiskSettings, open=open_disk)
