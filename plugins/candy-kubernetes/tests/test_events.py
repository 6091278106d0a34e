"""The check ``events``: objects with recent warning events."""

from __future__ import annotations

import time
from typing import Any

from candy_testbed.kubernetes_plugin import Agent, Objects


def stamp(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


def event(objects: Objects, name: str, about: str = "web", seconds_ago: float = 10, **more: Any) -> None:
    body = {
        "involvedObject": {"kind": "Pod", "namespace": objects.namespace, "name": about},
        "type": "Warning",
        "reason": "BackOff",
        "message": "Back-off restarting\nfailed container",
        "lastTimestamp": stamp(seconds_ago),
        "count": 1,
        **more,
    }
    objects.apply("v1", "Event", name, **body)


async def test_warnings_are_grouped_by_their_object(agent: Agent, objects: Objects) -> None:
    event(objects, "one", count=17)
    event(objects, "two", reason="Unhealthy", message="probe failed", count=2)
    event(objects, "three", "db")
    event(objects, "four", "fine", type="Normal")
    outcome = await agent.run("events", namespace=objects.namespace)
    assert (outcome.status, outcome.value) == ("warning", "2")
    web, db = outcome.details.splitlines()[-2:]
    where = f"Pod {objects.namespace}"
    assert web == f"{where}/web (BackOff ×17: Back-off restarting failed container; Unhealthy ×2: probe failed)"
    assert db == f"{where}/db (BackOff ×1: Back-off restarting failed container)"
    assert outcome.stats == {"offenders": 2, "total": 3, "events": 20}


async def test_an_old_event_does_not_count(agent: Agent, objects: Objects) -> None:
    """With either format: an event of ``events.k8s.io`` has other fields for its times."""
    event(objects, "old", seconds_ago=4000)
    where: dict[str, Any] = {"namespace": objects.namespace}
    assert (await agent.run("events", **where)).value == "0"
    assert (await agent.run("events", age="2h", **where)).value == "1"
    series = {"count": 5, "lastObservedTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}
    new: dict[str, Any] = {
        "lastTimestamp": None,
        "count": None,
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "series": series,
    }
    event(objects, "new", "api", reportingComponent="c", reportingInstance="i", action="a", **new)
    outcome = await agent.run("events", **where)
    assert (outcome.value, outcome.stats["events"]) == ("1", 5)


async def test_no_warning_is_normal(agent: Agent, objects: Objects) -> None:
    outcome = await agent.run("events", namespace=objects.namespace)
    assert (outcome.status, outcome.reason, outcome.value) == ("normal", "ok", "0")


async def test_any_object_of_an_event_is_one_short_line(agent: Agent, objects: Objects) -> None:
    about = {"kind": "Pod", "namespace": objects.namespace, "name": "two\nlines " + "x" * 2000}
    event(objects, "odd", involvedObject=about, message="y" * 1000, reason="Odd")
    outcome = await agent.run("events", namespace=objects.namespace)
    assert "\n" not in outcome.message
    assert len(outcome.message) < 500
    assert outcome.details.splitlines()[-1].startswith(f"Pod {objects.namespace}/two lines xxx")
    assert len(outcome.details) < 1500
