"""Authentication, authorization and the checks before a handler (contract section 1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from candy_core.web.auth import FailureLimiter
from tests.web.conftest import KEY, Client, Opened, item

CLOSED = [
    ("POST", "/api/v1/task"),
    ("GET", "/api/v1/tasks"),
    ("GET", "/api/v1/tasks/x"),
    ("DELETE", "/api/v1/tasks/x"),
    ("GET", "/api/v1/tasks/x/logs"),
    ("GET", "/api/v1/results/x"),
    ("GET", "/api/v1/deadletters"),
    ("POST", "/api/v1/deadletters/x/retry"),
    ("GET", "/api/v1/plugins"),
    ("GET", "/api/v1/config"),
    ("POST", "/api/v1/config"),
    ("POST", "/api/v1/heartbeat/web-1"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
]


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """Captures the log."""
    captured = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, captured])
    yield captured
    structlog.reset_defaults()


async def test_every_route_except_probes_and_docs_needs_a_key(client: Client) -> None:
    """Contract §1: 'on every route but /health, /ready and the static page /docs'."""
    for method, path in CLOSED:
        for key in (None, "wrong"):
            answer = await client.request(method, path, key=key)
            assert answer.status in (401, 429), (method, path)
    for path in ("/health", "/ready", "/docs"):
        assert (await client.request("GET", path, key=None)).status == 200
        assert (await client.request("GET", path, key="wrong")).status == 200


async def test_a_missing_key_is_401_and_says_how_to_send_one(client: Client) -> None:
    """Contract §1: '401 unauthenticated'."""
    answer = await client.rejected(401, "unauthenticated", "GET", "/api/v1/tasks", key=None)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    both = {"Authorization": "Bearer other"}
    await client.rejected(401, "unauthenticated", "GET", "/api/v1/tasks", headers=both)
    assert (
        await client.request("GET", "/api/v1/tasks", key=None, headers={"Authorization": f"Bearer {KEY}"})
    ).status == 200


async def test_a_key_without_the_scope_is_403_and_names_the_scope(agent_with: Opened, keys_file: Path) -> None:
    """Contract §1: 'tasks:read | GET tasks, results, logs … tasks:write | POST and DELETE of tasks, dead letters …'."""
    allowed = {
        "key-of-reader": {"/api/v1/tasks", "/api/v1/tasks/x", "/api/v1/tasks/x/logs", "/api/v1/results/x"},
        "key-of-writer": {
            "/api/v1/task",
            "DELETE /api/v1/tasks/x",
            "/api/v1/deadletters",
            "/api/v1/deadletters/x/retry",
            "/api/v1/plugins",
            "GET /api/v1/config",
            "/openapi.json",
        },
    }
    async with agent_with(CANDY_API_KEYS_FILE=str(keys_file)) as client:
        for key, paths in allowed.items():
            for method, path in CLOSED:
                answer = await client.request(method, path, key=key)
                may = f"{method} {path}" in paths or (path in paths and (method, path) != ("DELETE", "/api/v1/tasks/x"))
                assert (answer.status == 403) is not may, (key, method, path, answer)
                if not may:
                    assert answer.body["code"] == "forbidden"


async def test_too_many_failures_are_429_and_a_valid_key_is_never_rejected(client: Client) -> None:
    """Contract §1: 'A limiter on failures never refuses a valid key'; '429 … slow_down, with Retry-After'."""
    statuses = [(await client.request("GET", "/api/v1/tasks", key=f"guess-{n}")).status for n in range(30)]
    assert statuses[:20] == [401] * 20
    assert statuses[20:] == [429] * 10
    slowed = await client.rejected(429, "slow_down", "GET", "/api/v1/tasks", key=None)
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60
    assert (await client.request("GET", "/api/v1/tasks")).status == 200
    assert (await client.request("GET", "/health", key=None)).status == 200


async def test_a_wrong_key_on_an_open_route_counts_as_failure_and_no_key_does_not(client: Client) -> None:
    """Contract §1: the kubelet asks "`/health`, `/ready`" without a key; who guesses there is slowed down elsewhere."""
    for _ in range(30):
        assert (await client.request("GET", "/health", key=None)).status == 200
    await client.rejected(401, "unauthenticated", "GET", "/api/v1/tasks", key=None)
    for number in range(20):
        assert (await client.request("GET", "/health", key=f"guess-{number}")).status == 200
    await client.rejected(429, "slow_down", "GET", "/api/v1/tasks", key=None)


def test_the_failure_limiter_has_a_window_and_a_maximum_size() -> None:
    now = [0.0]
    limiter = FailureLimiter(limit=2, window=60, addresses=3, clock=lambda: now[0])
    assert [limiter.record_failure("10.0.0.1") for _ in range(3)] == [None, None, 60.0]
    now[0] = 20.0
    assert limiter.record_failure("10.0.0.1") == 40.0
    assert limiter.record_failure("10.0.0.2") is None
    now[0] = 61.0
    assert limiter.record_failure("10.0.0.1") is None
    assert [limiter.record_failure(f"2001:db8::{n}") for n in (1, 2, 3)] == [None, None, 60.0]
    assert limiter.record_failure("2001:db8:0:1::1") is None
    for number in range(100):
        limiter.record_failure(f"10.1.0.{number}")
    assert len(limiter._failures) == 3


async def test_a_non_ascii_key_is_valid(agent_with: Opened) -> None:
    async with agent_with(CANDY_API_KEY="ключ-é") as client:
        answer = await client.request("GET", "/api/v1/tasks", key="ключ-é")
        assert answer.status == 200
        await client.rejected(401, "unauthenticated", "GET", "/api/v1/tasks", key="ключ-è")


async def test_the_generated_key_is_valid_and_never_shown(agent_with: Opened, log: LogCapture) -> None:
    """Contract §1: 'With no key configured the agent makes one at start … It is never logged'."""
    async with agent_with(CANDY_API_KEY=None) as client:
        generated = client.agent.services.keys.generated
        assert generated is not None
        seen = ""
        for path in ("/api/v1/tasks", "/api/v1/config", "/api/v1/plugins", "/metrics", "/openapi.json", "/ready"):
            answer = await client.request("GET", path, key=generated.reveal())
            assert answer.status == 200
            seen += answer.text + str(answer.headers)
        assert generated.reveal() not in seen
    assert generated.reveal() not in repr(log.entries)


async def test_a_valid_request_id_is_echoed_and_another_is_replaced(client: Client, log: LogCapture) -> None:
    """Contract §1: 'X-Request-ID is echoed; without one the agent makes an id'."""
    for path in ("/health", "/nowhere", "/api/v1/tasks/x"):
        answer = await client.request("GET", path, headers={"X-Request-ID": "abc 1/2"})
        assert answer.headers["X-Request-ID"] == "abc 1/2"
    for wrong in ("x" * 129, "é", ""):
        answer = await client.request("GET", "/health", headers={"X-Request-ID": wrong})
        assert len(answer.headers["X-Request-ID"]) == 32
    missing = await client.request("GET", "/api/v1/tasks/x", headers={"X-Request-ID": "traced-1"})
    assert missing.body["request_id"] == "traced-1"


async def test_the_access_log_has_route_status_and_id_and_no_key(client: Client, log: LogCapture) -> None:
    await client.request("GET", "/api/v1/tasks?cursor=%3Cx%3E", headers={"X-Request-ID": "traced-1"})
    await client.request("GET", "/api/v1/tasks", key="wrong-key", headers={"X-Request-ID": "traced-2"})
    lines = {line["request_id"]: line for line in log.entries if line["event"] == "request"}
    assert (lines["traced-1"]["route"], lines["traced-1"]["status"]) == ("/api/v1/tasks", 422)
    assert lines["traced-2"]["status"] == 401
    assert all(line["duration_ms"] >= 0 for line in lines.values())
    assert "wrong-key" not in repr(log.entries)
    assert KEY not in repr(log.entries)


async def test_404_and_405_are_problem_documents_with_allow(client: Client) -> None:
    """Contract §1: '404 | not_found … 405 | method_not_allowed … Allow'."""
    await client.rejected(404, "not_found", "GET", "/")
    await client.rejected(404, "not_found", "GET", "/nowhere", key=None)
    await client.rejected(404, "not_found", "POST", "/api/v1/upgrade")
    assert (await client.rejected(405, "method_not_allowed", "GET", "/api/v1/task")).headers["Allow"] == "POST"
    answer = await client.rejected(405, "method_not_allowed", "PATCH", "/api/v1/tasks/x")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD"
    for method in ("OPTIONS", "TRACE", "PROPFIND"):
        await client.rejected(405, "method_not_allowed", method, "/health")
    assert (await client.request("HEAD", "/health", key=None)).status == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"])
async def test_another_content_type_is_415(client: Client, kind: str | None) -> None:
    """Contract §1: 'Request bodies need Content-Type: application/json (parameters allowed); anything else is 415'."""
    headers = {"Content-Type": kind} if kind else {}
    data = json.dumps({"items": [item()]}).encode()
    await client.rejected(415, "unsupported_media_type", "POST", "/api/v1/task", data=data, headers=headers)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", 'application/json;charset="x;y']
)
async def test_parameters_of_the_content_type_are_allowed(client: Client, kind: str) -> None:
    """Contract §1: '(parameters allowed)'."""
    data = json.dumps({"items": [item()]}).encode()
    assert (await client.request("POST", "/api/v1/task", data=data, headers={"Content-Type": kind})).status == 202


async def test_requests_are_checked_in_a_fixed_order(agent_with: Opened, keys_file: Path) -> None:
    """Key, scope, content type, size, JSON, shape: the first failure decides the response."""
    async with agent_with(CANDY_API_KEYS_FILE=str(keys_file), CANDY_MAX_BODY="1024") as client:
        big = b"[" * 2000
        plain = {"Content-Type": "text/plain"}
        typed = {"Content-Type": "application/json"}
        post: Any = ("POST", "/api/v1/task")
        await client.rejected(401, "unauthenticated", *post, key=None, data=big, headers=plain)
        await client.rejected(403, "forbidden", *post, key="key-of-reader", data=big, headers=plain)
        await client.rejected(415, "unsupported_media_type", *post, data=big, headers=plain)
        await client.rejected(413, "too_large", *post, data=big, headers=typed)
        await client.rejected(400, "bad_json", *post, data=b"[", headers=typed)
        await client.rejected(422, "invalid", *post, data=b"[]", headers=typed)


async def test_responses_have_the_security_headers(client: Client) -> None:
    api = await client.request("GET", "/api/v1/tasks")
    assert api.headers["X-Content-Type-Options"] == "nosniff"
    assert api.headers["Cache-Control"] == "no-store"
    assert "aiohttp" not in api.headers["Server"]
    page = await client.request("GET", "/docs", key=None)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "/api/v1/tasks/{task_id}" in page.text


async def test_a_client_without_a_key_cannot_fill_the_log(client: Client, log: LogCapture) -> None:
    """Malformed requests and unknown paths are logged at the debug level only."""
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.agent.address.port)
        writer.write(b"nonsense\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        await client.rejected(404, "not_found", "GET", "/nowhere", key=None)
    assert [entry for entry in log.entries if entry["log_level"] != "debug"] == []
