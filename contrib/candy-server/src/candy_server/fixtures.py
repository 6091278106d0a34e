"""A running stand-in as a pytest fixture."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest_asyncio

from candy_server.server import CandyServer


@pytest_asyncio.fixture
async def candy_server() -> AsyncIterator[CandyServer]:
    """A stand-in on a free port, with a generated key: ``candy_server.key``, which also signs callbacks."""
    async with CandyServer(key=secrets.token_urlsafe(16)) as server:
        yield server
