"""A plugin that does nothing, as a distribution on ``PYTHONPATH``: what is left is the core's own cost."""

from __future__ import annotations

from pathlib import Path

NOOP = "bench_noop"
"""The item type that ends at once, ``normal``."""
WAIT = "bench_wait"
"""The item type that waits until it is cancelled."""

_MODULE = '''
"""Made by the bench."""

import asyncio
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import ExecutorSpec, ItemStatus, Outcome, Reason, hookimpl


@frozen(kw_only=True)
class Nothing:
    """No params, no settings."""


class Noop:
    async def run(self, item, run):
        return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value="1")


class Wait:
    async def run(self, item, run):
        await asyncio.Event().wait()


@asynccontextmanager
async def open_noop(context, settings):
    yield Noop()


@asynccontextmanager
async def open_wait(context, settings):
    yield Wait()


@hookimpl
def candy_executors():
    yield ExecutorSpec(name="bench_noop", params=Nothing, settings=Nothing, open=open_noop)
    yield ExecutorSpec(name="bench_wait", params=Nothing, settings=Nothing, open=open_wait)
'''


def install(folder: Path) -> str:
    """Write the distribution into ``folder``, and give what ``PYTHONPATH`` has to be."""
    (folder / "candy_bench_spare.py").write_text(_MODULE)
    metadata = folder / "candy_bench_spare-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: candy-bench-spare\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[candy]\nbench_spare = candy_bench_spare\n")
    return str(folder)
