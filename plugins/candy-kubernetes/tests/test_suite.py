"""The plugin against the suite that every executor must pass: a real API server behind a hostile gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from candy_core import Json, Reason
from candy_core.testing.executor import Case, ExecutorSuite, Oversized, Subject
from candy_kubernetes import plugin
from candy_testbed import KubeCluster
from candy_testbed.kubernetes_plugin import Objects

MANY = 20


def params_for(namespace: str, check: str = "pods") -> dict[str, Json]:
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
            params = {**params_for(here), "grace": 0, "threshold": MANY, "label_selector": f"number in ({wanted})"}
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
                Case(params=params_for(here), value="0"),
                Case(
                    params={**params_for(here), "grace": "0", "threshold": "100", "critical": ">=200"},
                    value=str(MANY - 1),
                ),
                Case(params=params_for(here, "workloads"), reason=Reason.EMPTY_RESULT, value="0"),
                Case(params=params_for(here, "certificates"), reason=Reason.EMPTY_RESULT, value="0"),
                Case(params={**params_for(here, "events"), "age": "90s"}, value="0"),
                Case(params={"check": "nodes", "cordoned": "true", "label_selector": "a=b"}, reason="empty_result"),
                Case(params=params_for("empty"), reason=Reason.EMPTY_RESULT, value="0"),
            ],
            failures=[
                Case(params={}, reason=Reason.BAD_PARAMS),
                Case(params={"check": "ponds"}, reason=Reason.BAD_PARAMS),
                Case(params={**params_for(here), "threshold": "much"}, reason=Reason.BAD_PARAMS),
                Case(
                    params={**params_for(here), "label_selector": "a b c"},
                    reason=Reason.BAD_PARAMS,
                    matches="label_selector",
                ),
                Case(params=params_for("resets"), reason=Reason.UNREACHABLE),
                Case(params=params_for("html"), reason=Reason.BAD_RESPONSE),
                Case(params=params_for("repeats"), reason=Reason.UNREACHABLE),
                Case(params=params_for("refuses"), reason=Reason.AUTH_FAILED),
                Case(params=params_for("no-list"), reason=Reason.BAD_RESPONSE),
                *(
                    Case(params=params_for(name), reason=Reason.BAD_RESPONSE)
                    for name in ("nonsense", "mangled", "deep")
                ),
                Case(params=params_for("not-served"), reason="kubernetes_not_served", matches="pods"),
            ],
            endless=[params_for(name) for name in ("hangs", "hangs-half-way", "trickles")],
            oversized=[
                Oversized(params=params_for(name), reason=Reason.TOO_LARGE)
                for name in ("never-ends", "announces-a-gigabyte")
            ]
            + [Oversized(params=params_for("random-bytes"), reason=Reason.TOO_LARGE, matches="4194304")],
            numbered=numbered,
            many=MANY,
            secrets=[kube_cluster.token],
        )
