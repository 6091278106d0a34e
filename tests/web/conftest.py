"""The whole agent on a loopback port, with a plugin that is installed as a distribution."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from candy_core.app import Agent, running
from candy_core.config import load_configuration
from candy_testbed import eventually
from tests.testing.rule_backend.installed import installed

KEY = "the-key-of-these-tests"

_PLUGIN = '''
"""Executors without external systems."""

import asyncio
from contextlib import asynccontextmanager
from attrs import frozen
from candy_core import *

@frozen(kw_only=True)
class NapParams:
    """How long to sleep, and the value to return."""

    seconds: float = 0.0
    say: str = ""
    times: int = 1
    words: tuple[str, ...] = ()
    password: Secret = Secret("")

@frozen(kw_only=True)
class NapSettings:
    broken: bool = False

class Napper:
    async def run(self, item, run):
        await asyncio.sleep(item.params.seconds)
        return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value=item.params.say)

@asynccontextmanager
async def open_napper(context, settings):
    if settings.broken:
        raise RuntimeError("no bed is free")
    yield Napper()

@hookimpl
def candy_executors():
    return [
        ExecutorSpec(name="nap", params=NapParams, settings=NapSettings, open=open_napper, aliases=("Siesta",)),
        ExecutorSpec(
            name="order", params=NapParams, settings=NapSettings, open=open_napper,
            scopes=lambda params: frozenset({"tasks:command"}),
        ),
    ]
'''


@pytest.fixture(scope="module", autouse=True)  # not longer: tests of other folders look at what is installed
def nap_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution ``candy-web-nap`` with the plugin ``web_nap``, installed during these tests."""
    folder = tmp_path_factory.mktemp("site")
    package = folder / "candy_web_nap"
    package.mkdir()
    (package / "__init__.py").write_text(dedent(_PLUGIN), encoding="utf-8")
    info = folder / "candy_web_nap-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: candy-web-nap\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[candy]\nweb_nap = candy_web_nap\n", encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("candy_web_nap", None)
    importlib.invalidate_caches()


@pytest.fixture(scope="module")
def folder_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A third-party distribution with rule backends that store files in folders."""
    with installed(tmp_path_factory.mktemp("site"), folder="tests.testing.rule_backend.folder"):
        yield


@pytest.fixture
def rules_path(tmp_path: Path, folder_plugin: None) -> Path:
    """Where they store them: ``CANDY_FOLDER_PATH``."""
    for name in ("rules", "rules-second"):
        (tmp_path / name).mkdir()
    return tmp_path / "rules"


@frozen
class Response:
    """``body`` is the JSON value, if there is one."""

    status: int
    headers: Mapping[str, str]
    text: str
    body: Any


class Client:
    """Sends requests to one agent, by default with the key that has every scope."""

    def __init__(self, agent: Agent, session: aiohttp.ClientSession) -> None:
        self.agent = agent
        self._session = session

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = KEY,
    ) -> Response:
        """One request. The path is sent exactly as given."""
        from yarl import URL

        sent = {"X-API-Key": key} if key is not None else {}
        sent.update(headers or {})
        url = URL(self.agent.url + path, encoded=True)
        async with self._session.request(method, url, json=json, data=data, headers=sent) as response:
            text = await response.text()
            is_json = response.content_type in ("application/json", "application/problem+json")
            body = await response.json(content_type=None) if is_json and text else None
            return Response(response.status, response.headers, text, body)

    async def rejected(self, status: int, code: str, method: str, path: str, **more: Any) -> Response:
        """A request that must be rejected with this code and a complete problem document."""
        response = await self.request(method, path, **more)
        assert (response.status, response.body and response.body["code"]) == (status, code), response
        assert response.headers["Content-Type"] == "application/problem+json"
        assert set(response.body) == {"type", "title", "status", "detail", "code", "errors", "request_id"}
        assert response.body["status"] == status
        assert response.body["request_id"] == response.headers["X-Request-ID"]
        return response

    async def wait_ended(self, task_id: str) -> Mapping[str, Any]:
        """Wait until a task has ended. Returns its status object."""

        async def ended() -> Mapping[str, Any] | None:
            state: Mapping[str, Any] = (await self.request("GET", f"/api/v1/tasks/{task_id}")).body
            return None if state["status"] in ("pending", "running") else state

        return await eventually(ended)


Opened = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def agent_with() -> Opened:
    """Opens an agent with these variables in addition to the usual ones; ``None`` removes one."""

    @asynccontextmanager
    async def opened(**variables: str | None) -> AsyncIterator[Client]:
        environ = {
            "CANDY_LISTEN": "127.0.0.1:0",
            "CANDY_API_KEY": KEY,
            "CANDY_AGENT_ID": "web-1",
            "CANDY_PLUGINS_BLOCKED": "prometheusrule,vmrule,kubernetes",  # no test here may write to a real cluster
        } | variables
        configuration = load_configuration(
            None, {name: value for name, value in environ.items() if value is not None}, hostname="here"
        )
        async with running(configuration) as agent, aiohttp.ClientSession() as session:
            yield Client(agent, session)

    return opened


@pytest.fixture
async def client(agent_with: Opened) -> AsyncIterator[Client]:
    """An agent with one key that has every scope."""
    async with agent_with() as opened:
        yield opened


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Two keys with limited scopes."""
    file = tmp_path / "keys.yaml"
    file.write_text(
        "- {name: reader, key: key-of-reader, scopes: ['tasks:read']}\n"
        "- {name: writer, key: key-of-writer, scopes: ['tasks:write', 'agent:read']}\n",
        encoding="utf-8",
    )
    return file


def item(number: int = 1, **params: object) -> dict[str, object]:
    """An item of the type ``nap``."""
    return {"id": number, "type": "nap", "params": params}
