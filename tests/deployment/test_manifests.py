"""The manifests: the API server takes every object, and drops nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from candy_testbed import KubeCluster

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = tuple(yaml.safe_load_all((ROOT / "contrib/deploy/kubernetes/candy-agent.yaml").read_text()))


def of_kind(kind: str) -> Mapping[str, Any]:
    (found,) = [item for item in MANIFESTS if item["kind"] == kind]
    return dict(found)


def missing(wanted: Any, found: Any, path: str = "$") -> Iterator[str]:
    """What of the object written is not in the object that the server would keep."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            if key not in found:
                yield f"{path}.{key}"
            else:
                yield from missing(value, found[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        if len(wanted) != len(found):
            yield path
        for index, (value, other) in enumerate(zip(wanted, found, strict=False)):
            yield from missing(value, other, f"{path}[{index}]")
    elif wanted != found:
        yield path


@pytest.fixture
def namespaces(kube_cluster: KubeCluster) -> Iterator[None]:
    made = [kube_cluster.create_namespace(name) for name in ("candy-agent", "monitoring")]
    yield
    for name in made:
        kube_cluster.delete_namespace(name)


@pytest.mark.parametrize("written", MANIFESTS, ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
@pytest.mark.usefixtures("namespaces")
def test_the_api_server_takes_it_whole(kube_cluster: KubeCluster, written: dict[str, Any]) -> None:
    if written["apiVersion"] == "policy/v1":  # since 1.21; the server of the tests is older, the fields are the same
        written = written | {"apiVersion": "policy/v1beta1"}
    (kept,) = kube_cluster.api.apply(written, dry_run=True)
    wanted = dict(written)
    if wanted.get("stringData") is not None:  # written only; kept as data
        del wanted["stringData"]
    assert list(missing(wanted, kept)) == []


def test_the_pod_has_no_rights_on_its_node() -> None:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def test_kubernetes_puts_no_variables_of_its_own_into_the_environment() -> None:
    """Contract §7: an unknown CANDY_* variable is a warning; Kubernetes injects …_SERVICE_* and …_PORT*."""
    assert of_kind("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_there_is_time_for_the_orderly_end() -> None:
    """Contract §6: SIGTERM … exit 0 within 30 s."""
    assert of_kind("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 30


def test_rules_are_written_in_one_namespace_and_nothing_else_is_written_anywhere() -> None:
    writes = {"create", "update", "patch", "delete", "deletecollection", "*"}
    of_cluster = {verb for rule in of_kind("ClusterRole")["rules"] for verb in rule["verbs"]}
    assert not of_cluster & writes
    role = of_kind("Role")
    assert role["metadata"]["namespace"] == "monitoring"
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"prometheusrules", "vmrules"}
