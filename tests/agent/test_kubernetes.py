"""The whole agent in a cluster, with exactly the rights that its manifests give it (contract §3 and §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from candy_server.server import CandyServer
from candy_testbed import KubeCluster, eventually
from candy_testbed.kube.node_metrics import NodeMetrics
from candy_testbed.kubernetes_plugin import Objects
from candy_testbed.running_agent import RunningAgent, StartAgent

from .rights import ROLES

CHECKS = ("nodes", "pods", "workloads", "services", "volumes", "events", "certificates")


@pytest.fixture
def objects(kube_cluster: KubeCluster, kube_namespace: str) -> Objects:
    """Something to find for every check, in a namespace of the test's own."""
    made = Objects(kube_cluster, kube_namespace)
    made.pod("lost", {"phase": "Unknown"})
    made.workload("StatefulSet", "db", {"replicas": 1}, replicas=2)
    made.workload("Deployment", "web", replicas=0)
    made.apply("v1", "Service", "web", spec={"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made.apply("v1", "PersistentVolumeClaim", "data", spec=claim)
    about = {"kind": "Pod", "namespace": kube_namespace, "name": "lost"}
    made.apply("v1", "Event", "e", involvedObject=about, type="Warning", reason="BackOff", message="again")
    made.apply("v1", "Secret", "tls", type="kubernetes.io/tls", data={"tls.crt": "", "tls.key": ""})
    return made


def give_secrets(cluster: KubeCluster, namespace: str) -> None:
    """The Role that the chart makes of ``rbac.certificateNamespaces``."""
    head = {"apiVersion": ROLES, "metadata": {"name": "candy-agent-certificates"}}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    cluster.api.apply({**head, "kind": "Role", "rules": rules}, namespace=namespace)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "candy-agent-certificates"}
    account = {"kind": "ServiceAccount", "name": "candy-agent", "namespace": "candy-agent"}
    binding = {**head, "kind": "RoleBinding", "roleRef": reference, "subjects": [account]}
    cluster.api.apply(binding, namespace=namespace)


async def inspected(agent: RunningAgent, namespace: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    """The results of an item for every check, by the check."""
    where = {"namespace": namespace} if namespace else {}
    items = [
        {"id": check, "type": "kubernetes", "params": {"check": check, **({} if check == "nodes" else where)}}
        for check in CHECKS
    ]
    document = await agent.run({"items": items, **more})
    return {result["item_id"]: result for result in document["results"]}


async def test_every_check_works_with_the_rights_of_the_manifests(
    start_agent: StartAgent, in_cluster: Mapping[str, str], objects: Objects, kube_cluster: KubeCluster
) -> None:
    """Contract §3: "`value` is that number, `details` names them"; "as above with the kind for 节点"."""
    where = objects.namespace
    node = kube_cluster.create_node(ready=False)
    try:
        async with start_agent(**in_cluster) as agent:
            found = await inspected(agent, where)
            assert {check: (found[check]["status"], found[check]["value"]) for check in CHECKS} == {
                "certificates": ("failed", ""),
                **{check: ("warning", "1") for check in CHECKS if check != "certificates"},
            }
            assert {found[check]["message"] for check in CHECKS if check != "certificates"} == {
                f"节点 {node} 的值 1.00 超过阈值 0.00",
                f"Pod {where}/lost 的值 1.00 超过阈值 0.00",
                f"工作负载 StatefulSet {where}/db 的值 1.00 超过阈值 0.00",
                f"服务 {where}/web 的值 1.00 超过阈值 0.00",
                f"存储卷声明 {where}/data 的值 1.00 超过阈值 0.00",
                f"告警事件 Pod {where}/lost 的值 1.00 超过阈值 0.00",
            }
            refused = found["certificates"]
            assert refused["reason"] == "not_allowed"
            assert refused["message"] == f"Agent 缺少权限：不能在命名空间 {where} 中列出（list）secrets"
            give_secrets(kube_cluster, where)

            async def allowed() -> dict[str, Any] | None:
                found = (await inspected(agent, where))["certificates"]
                return None if found["status"] == "failed" else found

            refused = await eventually(allowed)
            assert (refused["value"], refused["stats"]["unreadable"]) == ("1", 1)
            everywhere = await inspected(agent, locale="en")
            reasons = {everywhere[check]["reason"] for check in CHECKS if check != "certificates"}
            assert reasons <= {"ok", "threshold_exceeded"}
            assert "may not list secrets in all namespaces" in everywhere["certificates"]["message"]
    finally:
        kube_cluster.api.delete("v1", "Node", node)


async def test_the_heartbeat_has_the_clusters_figures(
    start_agent: StartAgent, in_cluster: Mapping[str, str], kube_cluster: KubeCluster, candy_server: CandyServer
) -> None:
    """Contract section 4, "Heartbeat": `kubernetes_version` is without `v`; what cannot be had is left out."""
    node = kube_cluster.create_node()
    server = {"CANDY_SERVER_URL": candy_server.url, "CANDY_SERVER_API_KEY": candy_server.key}
    try:
        with NodeMetrics(kube_cluster) as metrics:
            metrics.set_usage(node, cpu="1", memory="6Gi")
            async with start_agent(**in_cluster, **server, CANDY_CLUSTER_NAME="shop") as agent:

                async def told_of_nodes() -> bool:
                    return "nodes" in (await agent.post("/api/v1/heartbeat/agent-001", {}))[1]["cluster_info"]

                await eventually(told_of_nodes)
                await agent.post("/api/v1/heartbeat/agent-001", {})
        assert candy_server.inbox.heartbeats[-1].body["cluster_info"] == {
            "name": "shop",
            "nodes": 1,
            "kubernetes_version": "1.20.2",
            "cpu_usage": 25.0,
            "memory_usage": 75.0,
        }
    finally:
        kube_cluster.api.delete("v1", "Node", node)


async def test_without_a_cluster_everything_else_works(start_agent: StartAgent) -> None:
    """Contract §7: "none of them: everything but Kubernetes works"."""
    async with start_agent(KUBECONFIG="", CANDY_BASH_ALLOW_COMMAND="true") as agent:
        items = [
            {"id": 1, "type": "kubernetes", "params": {"check": "nodes"}},
            {"id": 2, "type": "bash", "params": {"command": "echo 7"}},
        ]
        first, second = (await agent.run({"items": items}))["results"]
        assert (first["status"], first["reason"]) == ("failed", "not_configured")
        assert (second["status"], second["value"]) == ("normal", "7")
        plugins = (await agent.get("/api/v1/plugins"))["plugins"]
        [plugin] = [plugin for plugin in plugins if plugin["name"] == "kubernetes"]
        assert plugin["state"] == "active"


async def test_a_cluster_that_is_silent_delays_no_heartbeat(
    start_agent: StartAgent, in_cluster: Mapping[str, str], kube_cluster: KubeCluster, candy_server: CandyServer
) -> None:
    """Contract §4: "the first at once, then every `HEARTBEAT_INTERVAL` s"; figures that cannot be had are left out."""
    server = {"CANDY_SERVER_URL": candy_server.url, "CANDY_SERVER_API_KEY": candy_server.key}
    silent = {"CANDY_KUBERNETES_TIMEOUT": "60", "HEARTBEAT_INTERVAL": "1"}
    kube_cluster.api_server.pause()
    async with start_agent(**in_cluster, **server, **silent):
        await eventually(lambda: len(candy_server.inbox.heartbeats) >= 4)
    assert {str(beat.body["cluster_info"]) for beat in candy_server.inbox.heartbeats} == {
        str({"name": "default-cluster"})
    }
    kube_cluster.api_server.resume()
