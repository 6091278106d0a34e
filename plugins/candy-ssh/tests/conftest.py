"""Real sshds, and a driver for the executor, as the core drives it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from attrs import frozen

from candy_core import ByteLimits, Health, Item, Locale, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_ssh import plugin
from candy_ssh.executor import SshExecutor
from candy_testbed import Sshd, busy_seconds, task_run
from candy_testbed.ssh_hosts import USER

ROOT = os.geteuid() == 0
LIMIT = 64 * 1024
GRACE = 5.0
"""Seconds that the engine gives a cancelled item until it is abandoned; of a machine with nothing else to do."""


def me() -> str:
    """The user that runs the tests."""
    return subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """Whoever runs the tests (``own``), or another user without rights (``other``)."""
    if request.param == "own":
        return me()
    if not ROOT:
        pytest.skip("only root can start an sshd that lets another user in")
    return USER


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin waits for a minute until it gives up a host that is slow to terminate processes."""
    monkeypatch.setattr("candy_ssh.command_run.STOP_SECONDS", 60.0)


@frozen
class Agent:
    """The opened plugin, asked as the core asks it."""

    executor: SshExecutor
    defaults: Mapping[str, Any]

    def params(self, **params: Any) -> Any:
        [spec] = plugin.candy_executors()
        return params_reader.read({**self.defaults, **params}, spec.params)

    async def run(self, *, locale: Locale = Locale.EN, **params: Any) -> Outcome:
        item = Item(index=0, id=1, name="", params=self.params(**params))
        return await self.executor.run(item, task_run(locale=locale))

    async def run_and_cancel(
        self, seconds: float = 0.5, when: Awaitable[object] | None = None, *, grace: float = GRACE, **params: Any
    ) -> Outcome:
        """Cancel the run ``seconds`` after its start, or after ``when``; its outcome, due within ``grace`` seconds."""
        call = asyncio.ensure_future(self.run(**params))
        if when is not None:
            await when
        await asyncio.wait({call}, timeout=seconds)
        call.cancel()
        with busy_seconds() as passed:
            outcome = await call
            assert passed() < grace
        return outcome

    async def health(self) -> Health:
        [spec] = plugin.candy_executors()
        assert spec.check is not None
        return await spec.check(self.executor)


class Open(Protocol):
    def __call__(
        self, *, stored: Mapping[str, str] = ..., defaults: Mapping[str, Any] = ..., **settings: Any
    ) -> Any: ...


@pytest.fixture
def open_agent(sshd: Sshd, ssh_keys: Path, tmp_path: Path) -> Open:
    """An async context manager around the plugin; it may log in on loopback unless ``settings`` say otherwise."""

    @asynccontextmanager
    async def opened(
        *, stored: Mapping[str, str] | None = None, defaults: Mapping[str, Any] | None = None, **settings: Any
    ) -> AsyncIterator[Agent]:
        known = tmp_path / "known_hosts"
        known.write_text(sshd.known_hosts())
        given = {
            "allowed_hosts": "127.0.0.0/8",
            "known_hosts": str(known),
            "allow_command": "true",
            "credentials": {"login": {"username": me(), "private_key_file": str(ssh_keys / "login")}},
            **settings,
        }
        [spec] = plugin.candy_executors()
        context = plugin_context("ssh", stored or {}, limits=ByteLimits(output=LIMIT))
        usual = {"host": "127.0.0.1", "port": sshd.port, "credential": "login"} if defaults is None else defaults
        read = params_reader.read({key: value for key, value in given.items() if value is not None}, spec.settings)
        async with spec.open(context, read) as executor:
            assert isinstance(executor, SshExecutor)
            yield Agent(executor, usual)

    return opened


@pytest.fixture
async def agent(open_agent: Open) -> AsyncIterator[Agent]:
    """The plugin, allowed to run commands on the session's server."""
    async with open_agent() as opened:
        yield opened
