"""The plugin ``ssh``: announces the executor for items of that type (contract section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from candy_core import ExecutorSpec, Health, PluginContext, hookimpl
from candy_kit_command import Catalogue, command_scopes
from candy_ssh.params import SshParams
from candy_ssh.settings import SshSettings

if TYPE_CHECKING:
    from candy_ssh.executor import SshExecutor

MAX_CONCURRENT = 128
"""Items at one time. They wait for other hosts, mostly."""


@asynccontextmanager
async def open_ssh(context: PluginContext, settings: SshSettings) -> AsyncIterator[SshExecutor]:
    """Read the templates and the pinned keys; nothing is connected before the first item."""
    catalogue = await asyncio.to_thread(Catalogue.load, settings)
    # Half a second and 14 MB: not for an agent that only lists what is installed.
    from candy_ssh.opening import executor

    async with executor(context, settings, catalogue) as opened:
        yield opened


async def check(executor: SshExecutor) -> Health:
    """Whether the keys of hosts can be checked."""
    return await executor.health()


@hookimpl
def candy_executors() -> Iterable[ExecutorSpec[SshParams, SshSettings]]:
    """Announce the executor ``ssh``."""
    yield ExecutorSpec(
        name="ssh",
        params=SshParams,
        settings=SshSettings,
        open=open_ssh,
        scopes=command_scopes,
        max_concurrent=MAX_CONCURRENT,
        check=check,
    )
