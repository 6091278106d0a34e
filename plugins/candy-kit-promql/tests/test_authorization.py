"""How the agent authenticates: tokens, passwords, certificates, and files that change."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from candy_core import Invalid, ItemStatus, Reason, params_reader
from candy_kit_promql import MetricSettings, authorization

OK = {"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secured(authority: trustme.CA) -> AsyncIterator[Callable[..., Any]]:
    """A real HTTPS server that answers requests for which ``allow`` is true, and may want a client certificate."""
    runners: list[web.AppRunner] = []

    async def start(allow: Callable[[web.Request], bool], *, mutual: bool = False) -> str:
        async def handle(request: web.Request) -> web.Response:
            return web.json_response(OK) if allow(request) else web.Response(status=401, text="no")

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        if mutual:
            tls.verify_mode = ssl.CERT_REQUIRED
            authority.configure_trust(tls)
        app = web.Application()
        app.router.add_post("/api/v1/query", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "localhost", 0, ssl_context=tls)
        await site.start()
        return f"https://localhost:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


async def test_a_bearer_token_authenticates_over_tls(secured: Any, run_items: Any, ca_file: str) -> None:
    url = await secured(lambda request: request.headers.get("Authorization") == "Bearer token-1")
    (right,) = await run_items({"url": url, "ca_file": ca_file, "bearer_token": "token-1"}, "1")
    assert right.status is ItemStatus.NORMAL
    (wrong,) = await run_items({"url": url, "ca_file": ca_file, "bearer_token": "token-2"}, "1")
    assert (wrong.status, wrong.reason) == (ItemStatus.FAILED, Reason.AUTH_FAILED)
    assert "HTTP 401" in wrong.message
    assert "token-2" not in repr(wrong)


async def test_a_user_and_password_authenticate(secured: Any, run_items: Any, ca_file: str) -> None:
    expected = "Basic " + base64.b64encode("prom:pässword".encode()).decode()
    url = await secured(lambda request: request.headers.get("Authorization") == expected)
    (outcome,) = await run_items({"url": url, "ca_file": ca_file, "username": "prom", "password": "pässword"}, "1")
    assert outcome.status is ItemStatus.NORMAL


async def test_a_tenants_headers_go_with_every_request(secured: Any, run_items: Any, ca_file: str) -> None:
    url = await secured(lambda request: request.headers.get("X-Scope-OrgID") == "team-a")
    (outcome,) = await run_items({"url": url, "ca_file": ca_file, "headers": {"X-Scope-OrgID": "team-a"}}, "1")
    assert outcome.status is ItemStatus.NORMAL


async def test_a_client_certificate_authenticates(
    secured: Any, run_items: Any, ca_file: str, authority: trustme.CA, tmp_path: Path
) -> None:
    url = await secured(lambda request: True, mutual=True)
    certificate = authority.issue_cert("agent.example.com")
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert_file)
    certificate.private_key_pem.write_to_path(key_file)
    files = {"ca_file": ca_file, "cert_file": str(cert_file), "key_file": str(key_file)}
    (right,) = await run_items({"url": url, **files}, "1")
    assert right.status is ItemStatus.NORMAL
    (wrong,) = await run_items({"url": url, "ca_file": ca_file}, "1")
    assert (wrong.status, wrong.reason) == (ItemStatus.FAILED, Reason.UNREACHABLE)


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(secured: Any, run_items: Any) -> None:
    url = await secured(lambda request: True)
    (outcome,) = await run_items({"url": url, "bearer_token": "token-1"}, "1")
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.UNREACHABLE)
    assert "its certificate is not trusted" in outcome.message


async def test_a_token_in_a_file_is_read_again_once_it_is_old(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    settings = params_reader.read({"url": "http://x", "bearer_token_file": str(file)}, MetricSettings)
    now = 100.0
    keeper = authorization.Authorization(settings, clock=lambda: now)
    assert await keeper.headers() == {"Authorization": "Bearer old"}
    file.write_text("new\n")
    assert await keeper.headers() == {"Authorization": "Bearer old"}
    now += authorization.REREAD_AFTER
    assert await keeper.headers() == {"Authorization": "Bearer new"}


@pytest.mark.parametrize("content", [None, "", "two\nlines", b"\xff"])
async def test_a_file_without_a_token_fails_the_items_and_is_not_quoted(
    serve: Any, run_items: Any, tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    server = await serve(lambda peer: peer.answer(OK))
    (outcome,) = await run_items({"url": server.url, "bearer_token_file": str(file)}, "1")
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.NOT_CONFIGURED)
    assert "two" not in outcome.message
    assert not server.requests


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://x"},
        {"url": "prometheus:9090"},
        {"url": "http://user:hush@x"},
        {"url": "http://x?token=hush"},
        {"url": "http://x/#hush"},
        {"url": "http://x", "bearer_token": "hush", "username": "u"},
        {"url": "http://x", "bearer_token": "hush", "bearer_token_file": "f"},
        {"url": "http://x", "password": "hush"},
        {"url": "http://x", "cert_file": "f"},
        {"url": "http://x", "headers": {"X-A\r\nB": "hush"}},
        {"url": "http://x", "headers": {"X-A": "hush\r\nX-B: c"}},
        {"url": "http://x", "timeout": "0"},
        {"url": "http://x", "datasources": {"default": {"url": "http://y"}}},
        {"datasources": {"a": {}}},
        {"datasources": {"a": {"url": "http://y"}}, "default_datasource": "b"},
        {"urls": "http://x"},
    ],
)
def test_contradictory_settings_are_rejected_and_not_quoted(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as rejected:
        params_reader.read(settings, MetricSettings)
    assert "expected" in str(rejected.value) or "unknown key" in str(rejected.value)
    assert "hush" not in str(rejected.value)


async def test_datasources_are_chosen_by_name(serve: Any, run_items: Any) -> None:
    def says(value: str) -> Any:
        body = {"status": "success", "data": {"resultType": "scalar", "result": [1, value]}}
        return lambda peer: peer.answer(body)

    one, two = await serve(says("1")), await serve(says("2"))
    settings = {"url": one.url, "datasources": json.dumps({"second": {"url": two.url}})}
    named = {"query": "1", "datasource": "second"}
    assert [outcome.value for outcome in await run_items(settings, "1", named)] == ["1", "2"]
    by_default = await run_items(
        {**settings, "default_datasource": "second"}, "1", {"query": "1", "datasource": "default"}
    )
    assert [outcome.value for outcome in by_default] == ["2", "1"]


async def test_an_item_without_a_datasource_says_what_to_configure(run_items: Any) -> None:
    """Contract section 3: "none configured: ``not_configured``"."""
    (outcome,) = await run_items({}, "up")
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.NOT_CONFIGURED)
    assert outcome.message == "no datasource is configured: set CANDY_PROMETHEUS_URL"


async def test_an_unknown_datasource_is_the_items_fault_and_the_message_lists_the_known_ones(run_items: Any) -> None:
    settings = {"datasources": {"b": {"url": "http://b"}, "a": {"url": "http://a"}}}
    outcome, default = await run_items(settings, {"query": "up", "datasource": "http://169.254.169.254"}, "up")
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.BAD_PARAMS)
    assert outcome.message == "params.datasource: expected one of: a, b"
    assert default.reason == Reason.NOT_CONFIGURED
    assert default.message.endswith("or let the item name one of: a, b")
