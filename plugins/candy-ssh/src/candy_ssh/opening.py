"""Puts the executor's parts together, and takes them apart."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from candy_core import PluginContext
from candy_kit_command import Catalogue
from candy_ssh.executor import SshExecutor
from candy_ssh.host_keys import HostKeys
from candy_ssh.login import Logins
from candy_ssh.pool import Pool
from candy_ssh.settings import SshSettings


@asynccontextmanager
async def executor(context: PluginContext, settings: SshSettings, catalogue: Catalogue) -> AsyncIterator[SshExecutor]:
    """The executor, until the context ends. Raises ``SettingsError`` for keys that cannot be read."""
    # At INFO the library writes down every command line, in which somebody may have put a password.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    pool = Pool(settings)
    try:
        yield SshExecutor(
            context=context,
            settings=settings,
            catalogue=catalogue,
            host_keys=HostKeys.of(settings),
            logins=Logins(settings, context.credential),
            pool=pool,
        )
    finally:
        await pool.close()
