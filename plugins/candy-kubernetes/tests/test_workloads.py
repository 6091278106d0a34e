"""The check ``workloads``: the pods that exist against those that ``spec`` requires, with an up-to-date status."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Json, Locale
from candy_kubernetes.checks import CHECKS
from candy_kubernetes.checks.workloads import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from candy_kubernetes.params import CheckName, KubernetesParams
from candy_testbed import KubeCluster, eventually
from candy_testbed.kubernetes_plugin import Agent, Objects


def progressing(status: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Progressing", "status": status, "reason": reason, "message": "3 of 9"}]}


FULL = {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
DAEMONS = {"currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 0}
ALL_DAEMONS = {**DAEMONS, "numberReady": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}
ROLLING = {"replicas": 3, "readyReplicas": 3, "currentRevision": "web-1", "updateRevision": "web-2"}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize(
    ("kind", "spec", "status"),
    [
        ("Deployment", {"replicas": 3}, FULL),
        ("Deployment", {"replicas": 0}, None),
        ("Deployment", {"replicas": 0}, {"observedGeneration": 0}),
        ("Deployment", {"replicas": 3, "paused": True}, {**FULL, "updatedReplicas": 0}),
        ("StatefulSet", {"replicas": 3}, {**FULL, "currentRevision": "web-1", "updateRevision": "web-1"}),
        ("StatefulSet", {"replicas": 3}, {"replicas": 3, "readyReplicas": 3}),
        ("StatefulSet", {"replicas": 3, **ON_DELETE}, ROLLING),
        (
            "StatefulSet",
            {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
            {**ROLLING, "updatedReplicas": 1},
        ),
        ("DaemonSet", {}, ALL_DAEMONS),
        ("DaemonSet", {}, {**DAEMONS, "desiredNumberScheduled": 0, "currentNumberScheduled": 0, "numberReady": 0}),
        ("DaemonSet", ON_DELETE, {**ALL_DAEMONS, "updatedNumberScheduled": 1}),
    ],
)
async def test_a_workload_that_fulfills_its_spec_is_no_offender(
    agent: Agent, objects: Objects, kind: str, spec: dict[str, Any], status: dict[str, Any] | None
) -> None:
    objects.workload(kind, "web", status, **spec)
    outcome = await agent.run("workloads", namespace=objects.namespace)
    assert (outcome.status, outcome.value, outcome.stats["total"]) == ("normal", "0", 1), outcome.details


@pytest.mark.parametrize(
    ("kind", "spec", "status", "issues"),
    [
        ("Deployment", {"replicas": 3}, None, "no controller has reported its status"),
        ("Deployment", {"replicas": 3}, {"replicas": 3}, "0 of 3 available; 0 of 3 updated"),
        ("Deployment", {"replicas": 4}, FULL, "3 of 4 available; 3 of 4 updated"),
        ("Deployment", {"replicas": 3}, {**FULL, "updatedReplicas": 1}, "1 of 3 updated"),
        ("Deployment", {"replicas": 3, "paused": True}, {**FULL, "availableReplicas": 2}, "2 of 3 available"),
        (
            "Deployment",
            {"replicas": 3},
            FULL | progressing("False", "ProgressDeadlineExceeded"),
            "its rollout is stuck: ProgressDeadlineExceeded: 3 of 9",
        ),
        (
            "Deployment",
            {"replicas": 3, "paused": True},
            {**FULL, "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]},
            "its pods cannot be created: FailedCreate",
        ),
        ("StatefulSet", {"replicas": 3}, {"replicas": 3, "readyReplicas": 2}, "2 of 3 ready"),
        ("StatefulSet", {"replicas": 3}, {**ROLLING, "updatedReplicas": 1}, "1 of 3 updated"),
        ("StatefulSet", {"replicas": 3}, None, "no controller has reported its status"),
        ("DaemonSet", {}, None, "no controller has reported its status"),
        ("DaemonSet", {}, {**ALL_DAEMONS, "numberReady": 1, "numberAvailable": 1}, "1 of 2 ready"),
        ("DaemonSet", {}, {**ALL_DAEMONS, "numberAvailable": 1}, "1 of 2 available"),
        ("DaemonSet", {}, {**ALL_DAEMONS, "updatedNumberScheduled": 1}, "1 of 2 updated"),
    ],
)
async def test_a_workload_that_lacks_pods_is_an_offender(
    agent: Agent, objects: Objects, kind: str, spec: dict[str, Any], status: dict[str, Any] | None, issues: str
) -> None:
    objects.workload(kind, "web", status, **spec)
    outcome = await agent.run("workloads", namespace=objects.namespace)
    assert (outcome.status, outcome.value) == ("warning", "1")
    assert outcome.details.splitlines()[-1].startswith(f"{kind} {objects.namespace}/web ({issues}"), outcome.details


@pytest.mark.parametrize(
    ("kind", "spec", "status"), [("Deployment", {"replicas": 3}, FULL), ("DaemonSet", {}, ALL_DAEMONS)]
)
async def test_a_status_of_an_older_spec_is_ignored(
    agent: Agent, objects: Objects, kind: str, spec: dict[str, Any], status: dict[str, Any]
) -> None:
    objects.workload(kind, "web", status, **spec)
    assert (await agent.run("workloads", namespace=objects.namespace)).value == "0"
    objects.workload(kind, "web", minReadySeconds=5, **spec)
    outcome = await agent.run("workloads", namespace=objects.namespace)
    assert outcome.value == "1"
    assert "web (no controller has acted on its generation 2 yet)" in outcome.details
    stopped = {"replicas": 0} if kind == "Deployment" else {}
    objects.workload(kind, "web", minReadySeconds=6, **{**spec, **stopped})
    assert (await agent.run("workloads", namespace=objects.namespace)).value == str(int(not stopped))


async def test_a_real_controllers_deployment(
    agent: Agent, objects: Objects, kube_cluster: KubeCluster, kube_controller_manager: Any
) -> None:
    """It is an offender until its pods run, and again as soon as its spec requires more."""
    objects.workload("Deployment", "web", replicas=2)

    async def has(value: str, text: str) -> bool:
        outcome = await agent.run("workloads", namespace=objects.namespace, locale=Locale.ZH_CN)
        return outcome.value == value and text in outcome.details

    await eventually(lambda: has("1", "期望 2 个，可用 0 个"))

    def pods() -> list[str]:
        found = kube_cluster.api.items("v1", "Pod", namespace=objects.namespace)
        return [pod["metadata"]["name"] for pod in found]

    async def are_two() -> bool:
        return len(pods()) == 2

    await eventually(are_two)
    for name in pods():
        kube_cluster.run_pod(objects.namespace, name)
    await eventually(lambda: has("0", "Total: 1"))
    objects.workload("Deployment", "web", replicas=5)
    assert (await agent.run("workloads", namespace=objects.namespace)).value == "1"
    objects.workload("Deployment", "web", replicas=0)
    assert (await agent.run("workloads", namespace=objects.namespace)).value == "0"


async def test_all_three_kinds_are_one_number_and_the_worst_is_first(agent: Agent, objects: Objects) -> None:
    objects.workload("Deployment", "half", {**FULL, "availableReplicas": 1}, replicas=2)
    objects.workload("StatefulSet", "none", {"replicas": 0}, replicas=1)
    objects.workload("DaemonSet", "fine", ALL_DAEMONS)
    outcome = await agent.run("workloads", namespace=objects.namespace, threshold="5", critical="1:")
    assert (outcome.status, outcome.value) == ("normal", "2")
    assert [line.split(" (")[0] for line in outcome.details.splitlines()[-3:]] == [
        "Workloads with problems:",
        f"StatefulSet {objects.namespace}/none",
        f"Deployment {objects.namespace}/half",
    ]
    selected = await agent.run("workloads", namespace=objects.namespace, label_selector="app in (fine)")
    assert (selected.value, selected.stats["total"], selected.stats["daemonsets"]) == ("0", 1, 1)


counts = st.one_of(st.none(), st.integers(0, 6), st.text(max_size=2))


@given(
    st.sampled_from([DEPLOYMENTS, DAEMON_SETS, STATEFUL_SETS]),
    st.dictionaries(st.sampled_from(["replicas", "paused", "updateStrategy"]), st.one_of(counts, st.booleans())),
    st.dictionaries(
        st.sampled_from(
            ["observedGeneration", "readyReplicas", "availableReplicas", "updatedReplicas", "desiredNumberScheduled"]
        ),
        counts,
    ),
    st.integers(0, 3),
)
def test_with_any_status_a_workload_is_no_offender_only_if_it_has_its_pods(
    resource: Any, spec: dict[str, Any], status: dict[str, Any], generation: int
) -> None:
    scan = CHECKS[CheckName.WORKLOADS].scan(KubernetesParams(check=CheckName.WORKLOADS), 0.0)
    metadata: dict[str, Json] = {"name": "web", "namespace": "n", "generation": generation}
    scan.inspect(resource, {"metadata": metadata, "spec": spec, "status": status})
    found = scan.findings()
    assert found.total == 1
    if found.count == 0 and not found.stats["scaled_to_zero"]:
        wanted = spec.get("replicas", 1) if isinstance(spec.get("replicas", 1), int) else 1
        current = status.get("readyReplicas" if resource is STATEFUL_SETS else "availableReplicas")
        assert resource is not DAEMON_SETS
        assert isinstance(current, int)
        assert current >= wanted
        observed = status["observedGeneration"]
        assert (observed if isinstance(observed, int) else 0) >= generation
