"""The plugin against the suite that every executor must pass: a real API server, and a gateway that does harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from candy_core import Json, Reason
from candy_core.testing.executor import Case, ExecutorSuite, Flood, Subject
from candy_kubernetes import plugin
from candy_testbed import KubeCluster
from candy_testbed.kubernetes_plugin import Objects

MANY = 20


def of(namespace: str, check: str = "pods") -> dict[str, Json]:
    return {"check": check, "namespace": namespace}


class TestKubernetes(ExecutorSuite):
    @pytest.fixture
    def subject(self, kube_cluster: KubeCluster, objects: Objects, gateway_kubeconfig: Path) -> Subject:
        for number in range(MANY):
            objects.pod(f"web-{number}", None if number else {"phase": "Succeeded"}, labels={"number": str(number)})
        [spec] = plugin.candy_executors()
        here = objects.namespace

        def numbered(number: int) -> Case:
            wanted = ",".join(map(str, range(number + 1)))
            params = {**of(here), "grace": 0, "threshold": MANY, "label_selector": f"number in ({wanted})"}
            return Case(params=params, value=str(number))

        return Subject(
            plugin="kubernetes",
            spec=spec,
            settings={
                "kubeconfig": str(gateway_kubeconfig),
                "timeout": 60,
                "prometheus_url": "http://127.0.0.1:1",
                "prometheus_bearer_token": kube_cluster.token,
            },
            ordinary=[
                Case(params=of(here), value="0"),
                Case(params={**of(here), "grace": "0", "threshold": "100", "critical": ">=200"}, value=str(MANY - 1)),
                Case(params=of(here, "workloads"), reason=Reason.EMPTY_RESULT, value="0"),
                Case(params=of(here, "certificates"), reason=Reason.EMPTY_RESULT, value="0"),
                Case(params={**of(here, "events"), "age": "90s"}, value="0"),
                Case(params={"check": "nodes", "cordoned": "true", "label_selector": "a=b"}, reason="empty_result"),
                Case(params=of("empty"), reason=Reason.EMPTY_RESULT, value="0"),
            ],
            failures=[
                Case(params={}, reason=Reason.BAD_PARAMS),
                Case(params={"check": "ponds"}, reason=Reason.BAD_PARAMS),
                Case(params={**of(here), "threshold": "much"}, reason=Reason.BAD_PARAMS),
                Case(params={**of(here), "label_selector": "a b c"}, reason=Reason.BAD_PARAMS, told="label_selector"),
                Case(params=of("resets"), reason=Reason.UNREACHABLE),
                Case(params=of("html"), reason=Reason.BAD_RESPONSE),
                Case(params=of("repeats"), reason=Reason.UNREACHABLE),
                Case(params=of("refuses"), reason=Reason.AUTH_FAILED),
                Case(params=of("no-list"), reason=Reason.BAD_RESPONSE),
                *(Case(params=of(name), reason=Reason.BAD_RESPONSE) for name in ("nonsense", "mangled", "deep")),
                Case(params=of("not-served"), reason="kubernetes_not_served", told="pods"),
            ],
            endless=[of("hangs"), of("hangs-half-way"), of("trickles")],
            floods=[Flood(params=of(name), reason=Reason.TOO_LARGE) for name in ("never-ends", "announces-a-gigabyte")]
            + [Flood(params=of("rubbish"), reason=Reason.TOO_LARGE, told="4194304")],
            numbered=numbered,
            many=MANY,
            secrets=[kube_cluster.token],  # which lets the agent in here, too,
        )
