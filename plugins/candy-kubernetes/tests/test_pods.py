"""The check ``pods``. Contract §3: "apply to the number of offenders; `value` is that number"."""

from __future__ import annotations

import time
from typing import Any

import pytest

from candy_core import Outcome
from candy_testbed import KubeCluster
from candy_testbed.kubernetes_plugin import Agent, Objects

LATER = 3600.0


def ago(seconds: float = 0.0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def running(*, ready: bool = True, since: str | None = None, restarts: int = 0, **state: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "app:1",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "state": state or {"running": {"startedAt": ago()}},
    }
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since or ago()}
    return {"phase": "Running", "startTime": ago(), "conditions": [condition], "containerStatuses": [container]}


def waiting(reason: str, *, init: bool = False, **more: Any) -> dict[str, Any]:
    status = running(ready=False, waiting={"reason": reason, "message": "the kubelet's message"}, **more)
    if init:
        status |= {"initContainerStatuses": status.pop("containerStatuses"), "phase": "Pending"}
    return status


def offenders(outcome: Outcome) -> list[str]:
    """The lines of ``details`` that name an offender."""
    return outcome.details.split("\n\n")[1].splitlines()[1:] if "\n\n" in outcome.details else []


async def test_pods_that_run_or_have_succeeded_are_no_offenders(
    agent: Agent, objects: Objects, kube_cluster: KubeCluster
) -> None:
    objects.pod("web")
    kube_cluster.run_pod(objects.namespace, "web")
    objects.pod("job", {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "False"}]})
    outcome = await agent.run("pods", namespace=objects.namespace, later=LATER)
    assert (outcome.status, outcome.reason, outcome.value) == ("normal", "ok", "0")
    assert outcome.message == "The values of all pods are within the threshold 0.00"
    assert outcome.details == f"Check: pods\nNamespace: {objects.namespace}\nTotal: 2"
    assert (outcome.stats["running"], outcome.stats["succeeded"], outcome.stats["total"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("status", "issue"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "failed: Evicted: disk"),
        ({"phase": "Unknown"}, "in phase Unknown"),
        (waiting("CrashLoopBackOff"), "container app waits: CrashLoopBackOff: the kubelet's message"),
        (waiting("ImagePullBackOff"), "container app waits: ImagePullBackOff: the kubelet's message"),
        (waiting("CreateContainerConfigError"), "container app waits: CreateContainerConfigError: the kubelet's"),
        (waiting("CrashLoopBackOff", init=True), "container app waits: CrashLoopBackOff: the kubelet's message"),
        (
            running(ready=False, terminated={"exitCode": 137, "reason": "OOMKilled"}),
            "container app ended with exit code 137: OOMKilled",
        ),
    ],
)
async def test_a_failing_pod_is_an_offender_immediately(
    agent: Agent, objects: Objects, status: dict[str, Any], issue: str
) -> None:
    objects.pod("web", status)
    outcome = await agent.run("pods", namespace=objects.namespace)
    assert (outcome.status, outcome.reason, outcome.value) == ("warning", "threshold_exceeded", "1")
    assert outcome.message == f"The value 1.00 of pod {objects.namespace}/web exceeds the threshold 0.00"
    [line] = offenders(outcome)
    assert line.startswith(f"{objects.namespace}/web ({issue}")


@pytest.mark.parametrize("state", ["pending", "creating", "unready"])
async def test_a_starting_pod_is_an_offender_after_its_grace(agent: Agent, objects: Objects, state: str) -> None:
    creating = waiting("ContainerCreating") | {"phase": "Pending"}
    objects.pod("web", {"pending": None, "creating": creating, "unready": running(ready=False)}[state])
    where: dict[str, Any] = {"namespace": objects.namespace}
    assert (await agent.run("pods", **where)).value == "0"
    assert (await agent.run("pods", later=290, **where)).value == "0"
    assert (await agent.run("pods", later=310, **where)).value == "1"
    assert (await agent.run("pods", later=310, grace="10m", **where)).value == "0"
    assert (await agent.run("pods", grace="0", **where)).value == "1"


async def test_the_schedulers_reason_for_a_pending_pod_is_shown(agent: Agent, objects: Objects) -> None:
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    objects.pod("web", {"phase": "Pending", "conditions": [unschedulable]})
    [line] = offenders(await agent.run("pods", namespace=objects.namespace, grace="0"))
    assert line.endswith("Unschedulable: 0/3 nodes)")


async def test_restarts_count_if_the_item_has_a_limit(agent: Agent, objects: Objects) -> None:
    objects.pod("web", running(restarts=7))
    first, second, third = await agent.run_together(
        *({"check": "pods", "namespace": objects.namespace, **more} for more in ({}, {"restarts": 7}, {"restarts": 6}))
    )
    assert (first.value, second.value, third.value) == ("0", "0", "1")
    assert offenders(third) == [f"{objects.namespace}/web (7 restarts)"]
    assert first.stats["restarts"] == 7


async def test_only_a_pod_that_is_overdue_for_deletion_is_an_offender(
    agent: Agent, objects: Objects, kube_cluster: KubeCluster
) -> None:
    objects.pod("web", running(ready=False, since=ago(LATER)), annotations={"finalizers": "none"})
    path = kube_cluster.api.path("v1", "Pod", "web", namespace=objects.namespace)
    kept = {"metadata": {"finalizers": ["example.com/keep"]}}
    kube_cluster.api.request("PATCH", path, kept, content_type="application/merge-patch+json")
    kube_cluster.api.request("DELETE", path, query={"gracePeriodSeconds": "5"})
    where: dict[str, Any] = {"namespace": objects.namespace}
    assert (await agent.run("pods", **where)).value == "0"
    [line] = offenders(await agent.run("pods", later=LATER, **where))
    assert "deletion overdue by" in line
    gone: dict[str, Any] = {"metadata": {"finalizers": None}}
    kube_cluster.api.request("PATCH", path, gone, content_type="application/merge-patch+json")


async def test_the_line_of_a_pod_with_many_failing_containers_is_bounded(agent: Agent, objects: Objects) -> None:
    [one] = waiting("CrashLoopBackOff")["containerStatuses"]
    many = [{**one, "name": f"app-{number}"} for number in range(200)]
    objects.pod("web", {"phase": "Running", "containerStatuses": many})
    outcome = await agent.run("pods", namespace=objects.namespace)
    assert outcome.value == "1"
    [line] = offenders(outcome)
    assert 900 < len(line) < 1100


async def test_the_worst_first_and_at_most_a_hundred_by_name(agent: Agent, objects: Objects) -> None:
    """Contract §3: "worst first, ties by name, at most 100 and then how many more"."""
    for number in range(103):
        objects.pod(f"web-{number:03}", waiting("CrashLoopBackOff", restarts=5 if number == 77 else 1))
    objects.pod("zz", {"phase": "Failed"})
    outcome = await agent.run("pods", namespace=objects.namespace, critical="100")
    lines = offenders(outcome)
    assert (outcome.status, outcome.value, len(lines)) == ("critical", "104", 101)
    names = [line.split(" ")[0].split("/")[1] for line in lines[:4]]
    assert names == ["zz", "web-077", "web-000", "web-001"]
    assert lines[-1] == "and 4 more"
    assert outcome.message.startswith("104 pods exceed the threshold 100.00")
