"""The plugin ``bash``: announces the executor for items of that type (contract section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from candy_bash.executor import BashExecutor, open_executor
from candy_bash.settings import BashSettings
from candy_core import ExecutorSpec, Health, PluginContext, hookimpl
from candy_kit_command import CommandParams, command_scopes


def open_bash(context: PluginContext, settings: BashSettings) -> AbstractAsyncContextManager[BashExecutor]:
    """Read the templates, and track from now on the processes that commands start."""
    return open_executor(context, settings)


async def check(executor: BashExecutor) -> Health:
    """Whether commands can be run and terminated."""
    return await executor.health()


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[CommandParams, BashSettings]]:
    """Announce the executor ``bash``."""
    yield ExecutorSpec(
        name="bash",
        params=CommandParams,
        settings=BashSettings,
        open=open_bash,
        scopes=command_scopes,
        check=check,
    )
