"""The outcome if the cluster rejects a request, hangs, or is missing (contract §2's reasons, §7 `KUBECONFIG`)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from candy_core import Locale, Outcome
from candy_testbed import KubeCluster, eventually
from candy_testbed.kubernetes_plugin import Agent, Objects, Open

RESOURCES = {
    "nodes": "nodes",
    "pods": "pods",
    "workloads": "deployments.apps",
    "services": "services",
    "volumes": "persistentvolumeclaims",
    "events": "events",
    "certificates": "secrets",
}


@pytest.fixture
def unprivileged(kube_cluster: KubeCluster, kube_namespace: str, tmp_path: Path) -> Path:
    """The kubeconfig of an account without permissions."""
    token = kube_cluster.service_account_token(kube_namespace, "unprivileged")
    return kube_cluster.write_kubeconfig(tmp_path / "unprivileged", token=token)


@pytest.mark.parametrize("check", RESOURCES)
async def test_a_missing_permission_is_named(open_agent: Open, unprivileged: Path, check: str) -> None:
    async with open_agent(kubeconfig=str(unprivileged)) as agent:
        english, chinese = await agent.run(check), await agent.run(check, locale=Locale.ZH_CN)
        assert (english.status, english.reason) == ("failed", "not_allowed")
        where = "" if check == "nodes" else " in all namespaces"
        assert f"the agent lacks a permission: it may not list {RESOURCES[check]}{where}" in english.message
        assert chinese.message.startswith("Agent 缺少权限：")
        assert RESOURCES[check] in chinese.message
        assert f'cannot list resource "{RESOURCES[check].split(".")[0]}"' in english.details
        if check != "nodes":
            outcome = await agent.run(check, namespace="shop")
            assert f"list {RESOURCES[check]} in namespace shop" in outcome.message


async def test_a_missing_permission_for_endpoint_slices_is_named(
    kube_cluster: KubeCluster, kube_namespace: str, open_agent: Open, tmp_path: Path
) -> None:
    token = kube_cluster.service_account_token(kube_namespace, "half")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "half"}}
    rules = [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]
    kube_cluster.api.apply({**role, "kind": "Role", "rules": rules}, namespace=kube_namespace)
    subject = {"kind": "ServiceAccount", "name": "half", "namespace": kube_namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "half"}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]}
    kube_cluster.api.apply(binding, namespace=kube_namespace)
    kubeconfig = kube_cluster.write_kubeconfig(tmp_path / "half", token=token)
    async with open_agent(kubeconfig=str(kubeconfig)) as agent:

        async def named() -> bool:
            outcome = await agent.run("services", namespace=kube_namespace)
            assert outcome.reason == "not_allowed"
            return "list endpointslices.discovery.k8s.io in namespace" in outcome.message

        await eventually(named)  # a role takes effect after a moment


async def test_a_rejected_credential_is_auth_failed(
    kube_cluster: KubeCluster, open_agent: Open, tmp_path: Path
) -> None:
    kubeconfig = kube_cluster.write_kubeconfig(tmp_path / "wrong", token="not-the-token")
    async with open_agent(kubeconfig=str(kubeconfig)) as agent:
        outcome = await agent.run("pods")
        assert (outcome.status, outcome.reason) == ("failed", "auth_failed")
        assert "not-the-token" not in str(outcome)
        assert not (await agent.health()).ok or outcome.details  # /version may be public


async def test_a_selector_that_kubernetes_rejects_is_a_bad_param(agent: Agent) -> None:
    outcome = await agent.run("pods", label_selector="app=(")
    assert (outcome.status, outcome.reason) == ("failed", "bad_params")
    assert "params.label_selector: the Kubernetes cluster rejects it" in outcome.message


async def test_a_cluster_that_hangs_is_a_timeout_and_recovers(
    kube_cluster: KubeCluster, kube_namespace: str, open_agent: Open
) -> None:
    async with open_agent(kubeconfig=str(kube_cluster.kubeconfig), timeout=3) as agent:
        kube_cluster.api_server.pause()
        outcome = await agent.run("pods", namespace=kube_namespace)
        assert (outcome.status, outcome.reason) == ("failed", "timeout")
        assert "did not respond in time" in outcome.message
        assert not (await agent.health()).ok
        kube_cluster.api_server.resume()
        await until_recovered(agent, kube_namespace)
        assert (await agent.health()).ok


async def test_a_cluster_that_is_down_is_unreachable_until_it_is_back(
    kube_cluster: KubeCluster, kube_namespace: str, open_agent: Open, tmp_path: Path
) -> None:
    """And if its configuration disappears as well, it is unreachable, not unconfigured."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(kube_cluster.kubeconfig, kubeconfig)
    async with open_agent(kubeconfig=str(kubeconfig)) as agent:
        await until_recovered(agent, kube_namespace)
        kube_cluster.kill_api_server()
        outcome = await agent.run("pods", namespace=kube_namespace)
        assert (outcome.status, outcome.reason) == ("failed", "unreachable")
        kubeconfig.unlink()
        outcome = await agent.run("pods", namespace=kube_namespace)
        assert (outcome.status, outcome.reason) == ("failed", "unreachable")
        assert not (await agent.health()).ok
        kube_cluster.start_api_server()
        await kube_cluster.until_ready()
        kube_cluster.write_kubeconfig(kubeconfig)
        await until_recovered(agent, kube_namespace)


async def test_a_cluster_that_appears_is_used(
    kube_cluster: KubeCluster, objects: Objects, open_agent: Open, environment: Any
) -> None:
    """Contract §7: "`KUBECONFIG` | else `~/.kube/config`, else in-cluster; none of them: everything but Kubernetes"."""
    objects.pod("lost", {"phase": "Unknown"})
    async with open_agent() as agent:
        outcome = await agent.run("pods", namespace=objects.namespace)
        assert (outcome.status, outcome.reason) == ("failed", "not_configured")
        assert (await agent.health()).ok
        (environment.home / ".kube").mkdir(parents=True)
        shutil.copy(kube_cluster.kubeconfig, environment.home / ".kube/config")
        outcome = await until_recovered(agent, objects.namespace)
        assert (outcome.reason, outcome.value) == ("threshold_exceeded", "1")


async def until_recovered(agent: Agent, namespace: str) -> Outcome:
    """Poll until an item has not failed."""

    async def recovered() -> Outcome | None:
        outcome = await agent.run("pods", namespace=namespace)
        return None if outcome.status == "failed" else outcome

    return await eventually(recovered)
