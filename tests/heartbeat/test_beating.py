"""Heartbeats to Candy-Server (contract section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from aiohttp import web

from candy_core import Secret
from candy_core.config.settings import Address
from candy_core.errors import BackendUnavailable
from candy_core.heartbeat import service
from candy_core.heartbeat.service import pause_after
from candy_core.http_client import http_client
from candy_core.model.heartbeat import AgentStatus
from candy_core.task_store import StoreCounts
from candy_testbed import eventually

from .conftest import COUNTS, Running, Start


async def test_the_first_heartbeat_is_sent_at_once_in_the_shape_of_the_contract(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    """Contract §4: '`POST {CANDY_SERVER_URL}/api/v1/heartbeat/{agent_id}`, the first at once'"""
    server = await candy_server()
    heartbeat(server.url)
    await eventually(lambda: server.heartbeats)
    assert server.paths == ["POST /api/v1/heartbeat/agent-001"]
    assert server.headers[0]["X-API-Key"] == "server-key"
    sent = server.heartbeats[0]
    assert sent.pop("timestamp").endswith("Z")
    assert len(sent.pop("instance_id")) == 32
    assert sent.pop("version")
    assert sent == {
        "agent_id": "agent-001",
        "status": "running",
        "cluster_info": {"name": "production-cluster"},
        "agent_endpoint": "http://127.0.0.1:8888",
        "sequence": 1,
        "uptime": 0,
        "plugins": [{"name": "prometheus", "version": "1.2", "state": "active"}],
        "executors": ["prometheus"],
        "queue": {"pending": 3, "running": 2, "capacity": 1000, "deliveries": 7},
    }


async def test_a_heartbeat_is_sent_at_every_interval(candy_server: Start, heartbeat: Callable[..., Running]) -> None:
    server = await candy_server()
    running = heartbeat(server.url)
    for number in range(1, 4):
        await running.timer.paused(number)
        running.timer.step()
    await eventually(lambda: len(server.heartbeats) == 4)
    assert [each["sequence"] for each in server.heartbeats] == [1, 2, 3, 4]
    assert len({each["instance_id"] for each in server.heartbeats}) == 1
    assert all(29 < pause <= 30 for pause in running.timer.pauses)


async def test_a_new_interval_takes_effect_at_once(candy_server: Start, heartbeat: Callable[..., Running]) -> None:
    server = await candy_server()
    running = heartbeat(server.url)
    await eventually(lambda: running.timer.pauses)
    running.runtime.apply({"heartbeat_interval": 5})
    await eventually(lambda: len(running.timer.pauses) == 2)
    assert 4 < running.timer.pauses[1] <= 5
    assert len(server.heartbeats) == 1


async def test_failures_increase_the_pause_up_to_a_limit_and_never_stop_the_agent(
    unused_tcp_port: int, heartbeat: Callable[..., Running]
) -> None:
    """Contract §4: 'A missing Candy-Server never stops the agent.'"""
    running = heartbeat(f"http://127.0.0.1:{unused_tcp_port}")
    for number in range(1, 6):
        await running.timer.paused(number)
        running.timer.step()
    assert [round(pause) for pause in running.timer.pauses[:5]] == [30, 60, 120, 120, 120]
    assert running.service.last_error
    assert running.counted("failed") >= 5
    assert len([line for line in running.logs if line["log_level"] == "warning"]) == 1


@pytest.mark.parametrize(
    ("interval", "failures", "pause"), [(30, 0, 30), (30, 1, 30), (30, 2, 60), (30, 99, 120), (300, 9, 300), (1, 4, 8)]
)
def test_the_pause_doubles_with_failures_and_has_ten_percent_of_jitter(
    interval: float, failures: int, pause: float
) -> None:
    assert pause_after(interval, failures, lambda least, most: least) == pytest.approx(pause * 0.9)
    assert pause_after(interval, failures, lambda least, most: most) == pytest.approx(pause * 1.1)


async def test_the_first_success_after_failures_ends_the_backoff(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    statuses = iter([500, 401, 302, 200])
    server = await candy_server(lambda: web.Response(status=next(statuses, 200)))
    running = heartbeat(server.url)
    for number in range(1, 5):
        await running.timer.paused(number)
        running.timer.step()
    await eventually(lambda: len(running.timer.pauses) == 5)
    assert [round(pause) for pause in running.timer.pauses] == [30, 60, 120, 30, 30]
    assert running.service.last_error is None


async def test_a_redirect_is_not_followed(candy_server: Start, heartbeat: Callable[..., Running]) -> None:
    other = await candy_server()
    server = await candy_server(lambda: web.Response(status=307, headers={"Location": other.url}))
    running = heartbeat(server.url)
    await eventually(lambda: running.service.last_error == "Candy-Server answered 307")
    assert other.heartbeats == []


async def test_the_answer_may_contain_a_configuration(candy_server: Start, heartbeat: Callable[..., Running]) -> None:
    """Contract §4: 'The answer may carry `{"config":{…}}`, applied as in Run-time configuration'"""
    server = await candy_server(
        lambda: web.json_response({"config": {"heartbeat_interval": 7, "max_running_tasks": 3}, "and": "more"})
    )
    running = heartbeat(server.url)
    await eventually(lambda: running.timer.pauses)
    assert running.runtime.current.heartbeat_interval == 7
    assert running.runtime.current.max_running_tasks == 3
    assert 6 < running.timer.pauses[0] <= 7


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>fine</html>",
        b"[]",
        b"null",
        b'{"config": null}',
        b'{"config": []}',
        b'{"config": "geheim"}',
        b'{"config": {"heartbeat_interval": "geheim"}}',
        b'{"config": {"heartbeat_interval": -1, "max_running_tasks": 1}}',
        b'{"config": {"unknown": 1, "max_running_tasks": 1}}',
        b'{"config": {"max_running_tasks": 1}, "pad": "' + b"x" * 100_000 + b'"}',
        b'{"config": {"max_running_tasks": 1}, "config": {}}',
        b"[" * 10_000,
        b"\xff\xfe",
    ],
)
async def test_an_unusable_answer_is_ignored(
    candy_server: Start, heartbeat: Callable[..., Running], answer: bytes
) -> None:
    server = await candy_server(lambda: web.Response(body=answer, content_type="application/json"))
    running = heartbeat(server.url)
    before = running.runtime.current
    await eventually(lambda: running.timer.pauses)
    running.timer.step()
    await eventually(lambda: len(running.timer.pauses) == 2)
    assert running.runtime.current == before
    assert running.counted("ok") == 2
    assert "geheim" not in str(running.logs)
    assert len([line for line in running.logs if line["event"] == "configuration_rejected"]) <= 1


async def test_a_repeated_error_is_logged_as_a_warning_once(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    answers = [web.json_response({"config": {"unknown": 1}}) for _ in range(2)]
    answers += [web.Response(status=500) for _ in range(2)] + [web.Response(status=502)]
    server = await candy_server(lambda: answers.pop(0))
    running = heartbeat(server.url)
    for number in range(1, 5):
        await running.timer.paused(number)
        running.timer.step()
    await running.timer.paused(5)
    warned = [line for line in running.logs if line["log_level"] == "warning"]
    assert [(line["event"], "500" in line["why"], "502" in line["why"]) for line in warned] == [
        ("configuration_rejected", False, False),
        ("heartbeat_undelivered", True, False),
        ("heartbeat_undelivered", False, True),
    ]


@pytest.mark.parametrize(
    ("sources", "status"),
    [
        ({}, "running"),
        ({"pending": 801}, "busy"),
        ({"pending": 800}, "running"),
        ({"stalled": lambda: "the scheduler has stopped", "pending": 999}, "error"),
        ({"required_down": lambda: ("prometheus",)}, "error"),
    ],
)
async def test_the_status_reflects_the_agents_state(
    heartbeat: Callable[..., Running], sources: dict[str, Any], status: str
) -> None:
    """Contract §4: '`busy` (queue above its mark), `error` (checks have stopped, or a required plugin is down)'."""
    pending = sources.pop("pending", 0)

    async def counts() -> StoreCounts:
        return attrs.evolve(COUNTS, pending=pending)

    built = await heartbeat(None, run=False, counts=counts, **sources).service.build()
    assert built.status == status


async def test_a_failing_store_omits_the_queue_and_is_an_error(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    """Contract §4: 'Figures that could not be had are left out, never invented'."""

    async def counts() -> StoreCounts:
        raise OSError("the store is down")

    server = await candy_server()
    heartbeat(server.url, counts=counts)
    await eventually(lambda: server.heartbeats)
    assert server.heartbeats[0]["status"] == "error"
    assert "queue" not in server.heartbeats[0]


@pytest.mark.parametrize(
    ("url", "plaintext", "handed_over"),
    [
        ("https://candy.example.com", False, True),
        ("http://127.0.0.1:1", False, True),
        ("http://[::1]:1", False, True),
        ("http://localhost:1", False, True),
        ("http://candy.example.com", False, False),
        ("http://10.0.0.1", False, False),
        ("http://127.0.0.1.example.com", False, False),
        ("http://localhost.example.com", False, False),
        ("http://candy.example.com", True, True),
    ],
)
async def test_a_generated_key_is_sent_only_over_a_safe_connection(
    heartbeat: Callable[..., Running], url: str, plaintext: bool, handed_over: bool
) -> None:
    """Contract §1: 'only then, and only over https or loopback unless `CANDY_HEARTBEAT_KEY_PLAINTEXT=true`'."""
    running = heartbeat(
        url,
        run=False,
        agent_key=lambda: Secret("generated"),
        settings={"heartbeat_key_plaintext": plaintext, "agent_endpoint": "http://agent"},
    )
    built = await running.service.build()
    assert (built.api_key is not None) is handed_over


async def test_the_generated_key_is_readable_on_the_wire_only(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    server = await candy_server()
    running = heartbeat(server.url, agent_key=lambda: Secret("generated-key"))
    await eventually(lambda: server.heartbeats)
    assert server.heartbeats[0]["api_key"] == "generated-key"
    sent = await running.service.send_now()
    assert "generated-key" not in repr(sent)
    assert "generated-key" not in str(running.logs)


async def test_a_heartbeat_can_be_sent_on_demand(candy_server: Start, heartbeat: Callable[..., Running]) -> None:
    """Contract §4: 'POST `/api/v1/heartbeat/{agent_id}` on the agent sends one now and returns it'."""
    server = await candy_server()
    running = heartbeat(server.url, run=False)
    sent = await running.service.send_now()
    assert (sent.status, sent.sequence) == (AgentStatus.RUNNING, 1)
    assert server.heartbeats[0]["sequence"] == 1


async def test_heartbeats_of_a_usual_interval_do_not_share_a_connection(
    monkeypatch: pytest.MonkeyPatch, heartbeat: Callable[..., Running]
) -> None:
    """A heartbeat is not sent again, so a connection to a server that has moved would lose one."""
    opened: list[dict[str, Any]] = []

    def recording(**options: Any) -> Any:
        opened.append(options)
        return http_client(**options)

    monkeypatch.setattr(service, "http_client", recording)
    running = heartbeat("http://127.0.0.1:9")
    await running.timer.paused(1)
    assert opened[0]["keep_alive"] < (1 - service.JITTER) * running.runtime.current.heartbeat_interval


async def test_a_failed_heartbeat_on_demand_gives_the_reason(
    unused_tcp_port: int, heartbeat: Callable[..., Running]
) -> None:
    with pytest.raises(BackendUnavailable, match="was not delivered"):
        await heartbeat(f"http://127.0.0.1:{unused_tcp_port}", run=False).service.send_now()
    with pytest.raises(BackendUnavailable, match="CANDY_SERVER_URL"):
        await heartbeat(None, run=False).service.send_now()


async def test_without_a_candy_server_there_is_no_heartbeat(heartbeat: Callable[..., Running]) -> None:
    """``run`` returns, which it would otherwise never do."""
    await heartbeat(None, run=False).service.run()


@pytest.mark.parametrize(
    ("settings", "environ", "listen", "endpoint"),
    [
        (
            {"agent_endpoint": "https://agent.example.com"},
            {"POD_IP": "10.1.2.3"},
            "0.0.0.0",
            "https://agent.example.com",
        ),
        ({}, {"POD_IP": "10.1.2.3"}, "0.0.0.0", "http://10.1.2.3:8888"),
        ({}, {"POD_IP": "fd00::1"}, "::", "http://[fd00::1]:8888"),
        ({}, {"POD_IP": "not an address"}, "0.0.0.0", "http://127.0.0.1:8888"),
        ({"tls_cert_file": "cert.pem"}, {"POD_IP": "10.1.2.3"}, "0.0.0.0", "https://10.1.2.3:8888"),
        ({}, {"POD_IP": "10.1.2.3"}, "192.0.2.7", "http://192.0.2.7:8888"),
        ({}, {}, "0.0.0.0", "http://127.0.0.1:8888"),
    ],
)
async def test_the_endpoint_is_that_of_the_settings_the_pod_or_the_host(
    heartbeat: Callable[..., Running], settings: dict[str, Any], environ: dict[str, str], listen: str, endpoint: str
) -> None:
    """Contract §4: '`agent_endpoint` is `CANDY_AGENT_ENDPOINT`, else made of the pod's or the host's address'."""
    running = heartbeat(
        "http://127.0.0.1:9", run=False, environ=environ, settings=settings, listen=lambda: Address(listen, 8888)
    )
    assert (await running.service.build()).agent_endpoint == endpoint


async def test_a_heartbeat_that_cannot_be_created_does_not_stop_the_agent(
    candy_server: Start, heartbeat: Callable[..., Running]
) -> None:
    server, good = await candy_server(), False

    def executors() -> list[str]:
        if not good:
            raise RuntimeError("no list")
        return []

    running = heartbeat(server.url, executors=executors)
    await eventually(lambda: running.timer.pauses)
    assert running.service.last_error is not None
    good = True
    running.timer.step()
    await eventually(lambda: server.heartbeats)
