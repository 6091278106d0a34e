"""A plugin with a task store that cannot be claimed from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from attrs import frozen

from candy_core import PluginContext, hookimpl
from candy_core.store.memory_store import MemoryStore
from candy_core.task_store import StoreLimits, TaskStoreSpec


@frozen(kw_only=True)
class NoSettings:
    """There are none."""


class FailingStore(MemoryStore):
    """Accepts tasks, but never hands one out."""

    async def claim(self, *_: object, **__: object) -> NoReturn:
        raise OSError("the store is down")


@asynccontextmanager
async def open_store(context: PluginContext, settings: NoSettings, limits: StoreLimits) -> AsyncIterator[MemoryStore]:
    yield FailingStore(limits)


@hookimpl
def candy_task_stores() -> list[TaskStoreSpec[NoSettings]]:
    return [TaskStoreSpec(name="failing", settings=NoSettings, open=open_store)]
