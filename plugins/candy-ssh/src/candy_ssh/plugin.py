"""The plugin ``ssh``: announces the executor for items of that type (contract section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from candy_core import ExecutorSpec, Health, PluginContext, hookimpl
from candy_kit_command import CommandTemplates, command_scopes
from candy_ssh.params import SshParams
from candy_ssh.settings import SshSettings

if TYPE_CHECKING:
    from candy_ssh.executor import SshExecutor

MAX_CONCURRENT = 128
"""Items that run concurrently. They spend most of their time waiting for hosts."""


@asynccontextmanager
async def open_ssh(context: PluginContext, settings: SshSettings) -> AsyncIterator[SshExecutor]:
    """Read the templates and the pinned keys. No connection is opened before the first item."""
    templates = await asyncio.to_thread(CommandTemplates.load, settings)
    # Imported here, since asyncssh takes 0.5 s and 14 MB, and an agent that only lists its plugins does not need it.
    from candy_ssh.executor import open_executor

    async with open_executor(context, settings, templates) as executor:
        yield executor


async def check(executor: SshExecutor) -> Health:
    """Whether host keys can be checked."""
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
