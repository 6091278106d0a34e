"""The cluster that tests run against: a real API server, broken and mended at will, of which nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from candy_testbed import ApiError, KubeCluster, MissingServer, eventually
from candy_testbed.fixtures import required
from candy_testbed.kube import KubeControllerManager

RULE = """
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: cpu}
spec:
  groups:
  - name: cpu
    rules:
    - {alert: HighCpu, expr: up == 0, for: 5m, annotations: {summary: down}}
"""

ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads}
rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:serviceaccount:NAMESPACE:agent"}]
"""


def test_the_cluster_is_ready_and_says_its_version(kube_cluster: KubeCluster) -> None:
    assert kube_cluster.api.request("GET", "/readyz") == "ok"
    assert kube_cluster.api.request("GET", "/version")["gitVersion"].startswith("v1.")


def test_both_kinds_of_rules_are_served(kube_cluster: KubeCluster, kube_namespace: str) -> None:
    (made,) = kube_cluster.api.apply(RULE, namespace=kube_namespace)
    assert made["spec"]["groups"][0]["rules"][0]["expr"] == "up == 0"
    other = RULE.replace("monitoring.coreos.com/v1", "operator.victoriametrics.com/v1beta1")
    kube_cluster.api.apply(other.replace("PrometheusRule", "VMRule"), namespace=kube_namespace)
    found = kube_cluster.api.items("operator.victoriametrics.com/v1beta1", "VMRule", namespace=kube_namespace)
    assert [rule["metadata"]["name"] for rule in found] == ["cpu"]


def test_the_schemas_of_the_rules_are_enforced(kube_cluster: KubeCluster, kube_namespace: str) -> None:
    with pytest.raises(ApiError, match=r"spec\.groups") as refused:
        kube_cluster.api.apply(RULE.replace("for: 5m", "for: soon"), namespace=kube_namespace)
    assert refused.value.status == 422


def test_what_another_manager_owns_is_a_conflict(kube_cluster: KubeCluster, kube_namespace: str) -> None:
    kube_cluster.api.apply(RULE, namespace=kube_namespace)
    changed = RULE.replace("up == 0", "up == 1")
    with pytest.raises(ApiError, match='conflict with "candy-testbed"') as refused:
        kube_cluster.api.apply(changed, namespace=kube_namespace, field_manager="another")
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    (now,) = kube_cluster.api.apply(changed, namespace=kube_namespace, field_manager="another", force=True)
    assert now["spec"]["groups"][0]["rules"][0]["expr"] == "up == 1"


def test_a_dry_run_keeps_nothing(kube_cluster: KubeCluster, kube_namespace: str) -> None:
    kube_cluster.api.apply(RULE, namespace=kube_namespace, dry_run=True)
    assert kube_cluster.api.items("monitoring.coreos.com/v1", "PrometheusRule", namespace=kube_namespace) == []


async def test_a_service_account_may_do_what_its_role_says_and_no_more(
    kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    agent = kube_cluster.api_as(kube_cluster.service_account_token(kube_namespace, "agent"))
    with pytest.raises(ApiError, match='cannot list resource "pods"') as refused:
        agent.items("v1", "Pod", namespace=kube_namespace)
    assert refused.value.status == 403
    kube_cluster.api.apply(ROLE.replace("NAMESPACE", kube_namespace), namespace=kube_namespace)

    def allowed() -> bool:
        try:
            return agent.items("v1", "Pod", namespace=kube_namespace) == []
        except ApiError:
            return False  # the authorizer reads of it by a watch

    assert await eventually(allowed)
    with pytest.raises(ApiError):
        agent.items("v1", "Secret", namespace=kube_namespace)


async def test_a_deployment_makes_pods_that_run_when_told_to(
    kube_cluster: KubeCluster, kube_namespace: str, kube_controller_manager: KubeControllerManager
) -> None:
    api = kube_cluster.api
    api.apply(
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
""",
        namespace=kube_namespace,
    )

    def both() -> list[str]:
        pods = api.items("v1", "Pod", namespace=kube_namespace, label_selector="app=web")
        return [pod["metadata"]["name"] for pod in pods] if len(pods) == 2 else []

    def ready() -> bool:
        status = api.get("apps/v1", "Deployment", "web", namespace=kube_namespace).get("status", {})
        return bool(status.get("readyReplicas") == 2)

    for name in await eventually(both):
        pod = api.get("v1", "Pod", name, namespace=kube_namespace)
        assert pod["status"]["phase"] == "Pending"
        assert kube_cluster.run_pod(kube_namespace, name)["status"]["phase"] == "Running"
    assert await eventually(ready)
    assert kube_controller_manager.running


def test_a_node_is_as_ready_as_it_was_made(kube_cluster: KubeCluster) -> None:
    name = kube_cluster.create_node(ready=False)
    try:
        (condition,) = kube_cluster.api.get("v1", "Node", name)["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("Ready", "False")
    finally:
        kube_cluster.api.delete("v1", "Node", name)
    assert name not in {node["metadata"]["name"] for node in kube_cluster.api.items("v1", "Node")}


def test_the_api_server_comes_back_at_its_address_with_all_that_it_held(
    kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    url, ca = kube_cluster.url, kube_cluster.ca_file.read_text()
    token = kube_cluster.service_account_token(kube_namespace, "agent")
    (made,) = kube_cluster.api.apply(RULE, namespace=kube_namespace)
    kube_cluster.kill_api_server()
    with pytest.raises(ConnectionRefusedError):
        kube_cluster.api.request("GET", "/readyz")
    kube_cluster.restart()
    assert (kube_cluster.url, kube_cluster.ca_file.read_text()) == (url, ca)
    held = kube_cluster.api.get("monitoring.coreos.com/v1", "PrometheusRule", "cpu", namespace=kube_namespace)
    assert held["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    # A token from before the outage is good after it: it is refused for want of a right, not as unknown (401).
    with pytest.raises(ApiError) as refused:
        kube_cluster.api_as(token).items("v1", "Pod", namespace=kube_namespace)
    assert refused.value.status == 403


async def test_the_event_loop_goes_on_while_the_api_server_starts(kube_cluster: KubeCluster) -> None:
    kube_cluster.stop_api_server()
    kube_cluster.start_api_server()
    await kube_cluster.until_ready()
    assert kube_cluster.api.request("GET", "/readyz") == "ok"


@pytest.mark.parametrize("harm", ["stop", "kill", "freeze"])
def test_whatever_a_test_does_to_the_api_server_is_mended(kube_cluster: KubeCluster, harm: str) -> None:
    {
        "stop": kube_cluster.stop_api_server,
        "kill": kube_cluster.kill_api_server,
        "freeze": kube_cluster.api_server.pause,
    }[harm]()
    with pytest.raises(OSError, match=r"refused|timed out"):
        kube_cluster.api.request("GET", "/readyz", timeout=0.5)
    kube_cluster.ensure_running()
    assert kube_cluster.api.request("GET", "/readyz") == "ok"


def test_a_namespace_ends_with_all_in_it(kube_cluster: KubeCluster) -> None:
    name = kube_cluster.create_namespace()
    kube_cluster.api.apply(RULE, namespace=name)
    kube_cluster.delete_namespace(name)
    assert name not in {found["metadata"]["name"] for found in kube_cluster.api.items("v1", "Namespace")}
    rules = kube_cluster.api.items("monitoring.coreos.com/v1", "PrometheusRule")
    assert name not in {rule["metadata"]["namespace"] for rule in rules}


async def test_nothing_is_left_of_a_namespace_that_is_written_to_until_it_ends(kube_cluster: KubeCluster) -> None:
    """As by the agent of a test that has failed: what is left would be found by the next test."""
    name = kube_cluster.create_namespace()
    written = 0

    def write() -> None:
        nonlocal written
        with contextlib.suppress(ApiError):  # it is refused in the end
            while True:
                kube_cluster.api.apply(RULE.replace("name: cpu}", f"name: cpu-{written}}}", 1), namespace=name)
                written += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(asyncio.to_thread(write))
        await eventually(lambda: written > 10)
        await asyncio.to_thread(kube_cluster.delete_namespace, name)
    rules = kube_cluster.api.items("monitoring.coreos.com/v1", "PrometheusRule")
    assert [rule["metadata"]["name"] for rule in rules if rule["metadata"]["namespace"] == name] == []


def test_nothing_of_a_cluster_stays_behind_nor_did_it_know_of_rules_untold() -> None:
    with required(KubeCluster(definitions=False)) as cluster:
        with pytest.raises(LookupError, match="PrometheusRule"):
            cluster.api.apply(RULE)
        servers = (cluster.etcd, cluster.api_server)
        pids = [server.pid for server in servers]
        folders = [server.folder for server in servers]
        ports = [server.port for server in servers]
        assert all(folder.is_dir() for folder in folders)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert [folder for folder in folders if folder.exists()] == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_cluster_that_is_not_built_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingServer, match=r"tools/testbed/kube/build\.sh"), KubeCluster():
        pass
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(MissingServer, match="no etcd in KUBEBUILDER_ASSETS"), KubeCluster():
        pass
    monkeypatch.delenv("CANDY_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="etcd"), required(KubeCluster()):
        pass
    monkeypatch.setenv("CANDY_TEST_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="etcd"), required(KubeCluster()):
        pass
