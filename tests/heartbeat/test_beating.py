"""Telling Candy-Server that the agent lives (contract section 4, "Heartbeat")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from aiohttp import web

from candy_core import Secret
from candy_core.config.settings import Address
from candy_core.errors import BackendUnavailable
from candy_core.heartbeat.service import pause_after
from candy_core.model.heartbeat import AgentStatus
from candy_core.task_store import StoreCounts

from .conftest import COUNTS, Heart, Start, until


async def test_the_first_beat_comes_at_once_and_has_the_shape_of_the_contract(
    candy_server: Start, heart: Callable[..., Heart]
) -> None:
    """Contract §4: '`POST {CANDY_SERVER_URL}/api/v1/heartbeat/{agent_id}`, the first at once'"""
    server = await candy_server()
    heart(server.url)
    await until(lambda: server.beats)
    assert server.paths == ["POST /api/v1/heartbeat/agent-001"]
    assert server.headers[0]["X-API-Key"] == "server-key"
    beat = server.beats[0]
    assert beat.pop("timestamp").endswith("Z")
    assert len(beat.pop("instance_id")) == 32
    assert beat.pop("version")
    assert beat == {
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


async def test_it_beats_again_at_every_interval(candy_server: Start, heart: Callable[..., Heart]) -> None:
    server = await candy_server()
    one = heart(server.url)
    for number in range(1, 4):
        await one.timer.asked(number)
        one.timer.step()
    await until(lambda: len(server.beats) == 4)
    assert [beat["sequence"] for beat in server.beats] == [1, 2, 3, 4]
    assert len({beat["instance_id"] for beat in server.beats}) == 1
    assert all(29 < pause <= 30 for pause in one.timer.pauses)


async def test_a_new_interval_counts_at_once(candy_server: Start, heart: Callable[..., Heart]) -> None:
    server = await candy_server()
    one = heart(server.url)
    await until(lambda: one.timer.pauses)
    one.runtime.apply({"heartbeat_interval": 5})
    await until(lambda: len(one.timer.pauses) == 2)
    assert 4 < one.timer.pauses[1] <= 5
    assert len(server.beats) == 1


async def test_beats_that_fail_are_spaced_out_within_bounds_and_never_stop_the_agent(
    unused_tcp_port: int, heart: Callable[..., Heart]
) -> None:
    """Contract §4: 'A missing Candy-Server never stops the agent.'"""
    one = heart(f"http://127.0.0.1:{unused_tcp_port}")
    for number in range(1, 6):
        await one.timer.asked(number)
        one.timer.step()
    assert [round(pause) for pause in one.timer.pauses[:5]] == [30, 60, 120, 120, 120]
    assert one.service.trouble
    assert one.counted("failed") >= 5
    assert len([line for line in one.logs if line["log_level"] == "warning"]) == 1


@pytest.mark.parametrize(
    ("interval", "failures", "pause"), [(30, 0, 30), (30, 1, 30), (30, 2, 60), (30, 99, 120), (300, 9, 300), (1, 4, 8)]
)
def test_the_pause_doubles_with_failures_and_has_ten_percent_of_jitter(
    interval: float, failures: int, pause: float
) -> None:
    assert pause_after(interval, failures, lambda least, most: least) == pytest.approx(pause * 0.9)
    assert pause_after(interval, failures, lambda least, most: most) == pytest.approx(pause * 1.1)


async def test_after_failures_the_first_beat_that_arrives_ends_the_backoff(
    candy_server: Start, heart: Callable[..., Heart]
) -> None:
    statuses = iter([500, 401, 302, 200])
    server = await candy_server(lambda: web.Response(status=next(statuses, 200)))
    one = heart(server.url)
    for number in range(1, 5):
        await one.timer.asked(number)
        one.timer.step()
    await until(lambda: len(one.timer.pauses) == 5)
    assert [round(pause) for pause in one.timer.pauses] == [30, 60, 120, 30, 30]
    assert one.service.trouble is None


async def test_a_redirect_carries_no_key_elsewhere(candy_server: Start, heart: Callable[..., Heart]) -> None:
    thief = await candy_server()
    server = await candy_server(lambda: web.Response(status=307, headers={"Location": thief.url}))
    one = heart(server.url)
    await until(lambda: one.service.trouble == "Candy-Server answered 307")
    assert thief.beats == []


async def test_the_answer_may_carry_a_configuration(candy_server: Start, heart: Callable[..., Heart]) -> None:
    """Contract §4: 'The answer may carry `{"config":{…}}`, applied as in Run-time configuration'"""
    server = await candy_server(
        lambda: web.json_response({"config": {"heartbeat_interval": 7, "max_running_tasks": 3}, "and": "more"})
    )
    one = heart(server.url)
    await until(lambda: one.timer.pauses)
    assert one.runtime.current.heartbeat_interval == 7
    assert one.runtime.current.max_running_tasks == 3
    assert 6 < one.timer.pauses[0] <= 7


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
async def test_an_answer_that_cannot_be_used_does_no_harm(
    candy_server: Start, heart: Callable[..., Heart], answer: bytes
) -> None:
    server = await candy_server(lambda: web.Response(body=answer, content_type="application/json"))
    one = heart(server.url)
    before = one.runtime.current
    await until(lambda: one.timer.pauses)
    one.timer.step()
    await until(lambda: len(one.timer.pauses) == 2)
    assert one.runtime.current == before
    assert one.counted("ok") == 2
    assert "geheim" not in str(one.logs)
    assert len([line for line in one.logs if line["event"] == "configuration_refused"]) <= 1


async def test_trouble_that_goes_on_is_warned_of_once(candy_server: Start, heart: Callable[..., Heart]) -> None:
    answers = [web.json_response({"config": {"unknown": 1}}) for _ in range(2)]
    answers += [web.Response(status=500) for _ in range(2)] + [web.Response(status=502)]
    server = await candy_server(lambda: answers.pop(0))
    one = heart(server.url)
    for number in range(1, 5):
        await one.timer.asked(number)
        one.timer.step()
    await one.timer.asked(5)
    warned = [line for line in one.logs if line["log_level"] == "warning"]
    assert [(line["event"], "500" in line["why"], "502" in line["why"]) for line in warned] == [
        ("configuration_refused", False, False),
        ("heartbeat_undelivered", True, False),
        ("heartbeat_undelivered", False, True),
    ]


@pytest.mark.parametrize(
    ("vitals", "status"),
    [
        ({}, "running"),
        ({"pending": 801}, "busy"),
        ({"pending": 800}, "running"),
        ({"stalled": lambda: "the scheduler stands still", "pending": 999}, "error"),
        ({"required_down": lambda: ("prometheus",)}, "error"),
    ],
)
async def test_the_status_says_what_holds(heart: Callable[..., Heart], vitals: dict[str, Any], status: str) -> None:
    """Contract §4: '`busy` (queue above its mark), `error` (checks have stopped, or a required plugin is down)'."""
    pending = vitals.pop("pending", 0)

    async def counts() -> StoreCounts:
        return attrs.evolve(COUNTS, pending=pending)

    beat = await heart(None, run=False, counts=counts, **vitals).service.build()
    assert beat.status == status


async def test_a_store_that_does_not_answer_leaves_the_queue_out_and_is_an_error(
    candy_server: Start, heart: Callable[..., Heart]
) -> None:
    """Contract §4: 'Figures that could not be had are left out, never invented'."""

    async def counts() -> StoreCounts:
        raise OSError("the store is away")

    server = await candy_server()
    heart(server.url, counts=counts)
    await until(lambda: server.beats)
    assert server.beats[0]["status"] == "error"
    assert "queue" not in server.beats[0]


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
async def test_a_generated_key_is_handed_over_only_where_nobody_listens(
    heart: Callable[..., Heart], url: str, plaintext: bool, handed_over: bool
) -> None:
    """Contract §1: 'only then, and only over https or loopback unless `CANDY_HEARTBEAT_KEY_PLAINTEXT=true`'."""
    one = heart(
        url,
        run=False,
        agent_key=lambda: Secret("generated"),
        settings={"heartbeat_key_plaintext": plaintext, "agent_endpoint": "http://agent"},
    )
    beat = await one.service.build()
    assert (beat.api_key is not None) is handed_over


async def test_the_key_is_readable_on_the_wire_and_nowhere_else(
    candy_server: Start, heart: Callable[..., Heart]
) -> None:
    server = await candy_server()
    one = heart(server.url, agent_key=lambda: Secret("generated-key"))
    await until(lambda: server.beats)
    assert server.beats[0]["api_key"] == "generated-key"
    beat = await one.service.send_now()
    assert "generated-key" not in repr(beat)
    assert "generated-key" not in str(one.logs)


async def test_a_beat_can_be_sent_now(candy_server: Start, heart: Callable[..., Heart]) -> None:
    """Contract §4: 'POST `/api/v1/heartbeat/{agent_id}` on the agent sends one now and returns it'."""
    server = await candy_server()
    one = heart(server.url, run=False)
    beat = await one.service.send_now()
    assert (beat.status, beat.sequence) == (AgentStatus.RUNNING, 1)
    assert server.beats[0]["sequence"] == 1


async def test_a_beat_that_cannot_be_sent_now_says_why(unused_tcp_port: int, heart: Callable[..., Heart]) -> None:
    with pytest.raises(BackendUnavailable, match="did not arrive"):
        await heart(f"http://127.0.0.1:{unused_tcp_port}", run=False).service.send_now()
    with pytest.raises(BackendUnavailable, match="CANDY_SERVER_URL"):
        await heart(None, run=False).service.send_now()


async def test_without_a_candy_server_there_is_no_heartbeat(heart: Callable[..., Heart]) -> None:
    async with asyncio.timeout(1):
        await heart(None, run=False).service.run()


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
async def test_the_endpoint_is_the_configured_the_pods_or_the_hosts(
    heart: Callable[..., Heart], settings: dict[str, Any], environ: dict[str, str], listen: str, endpoint: str
) -> None:
    """Contract §4: '`agent_endpoint` is `CANDY_AGENT_ENDPOINT`, else made of the pod's or the host's address'."""
    one = heart(
        "http://127.0.0.1:9", run=False, environ=environ, settings=settings, listen=lambda: Address(listen, 8888)
    )
    assert (await one.service.build()).agent_endpoint == endpoint


async def test_what_cannot_even_be_made_into_a_beat_does_not_stop_the_agent(
    candy_server: Start, heart: Callable[..., Heart]
) -> None:
    server, good = await candy_server(), False

    def executors() -> list[str]:
        if not good:
            raise RuntimeError("no list")
        return []

    one = heart(server.url, executors=executors)
    await until(lambda: one.timer.pauses)
    assert one.service.trouble is not None
    good = True
    one.timer.step()
    await until(lambda: server.beats)
