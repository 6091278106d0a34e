"""The check ``services``: whether they have ready endpoints."""

from __future__ import annotations

from typing import Any

from candy_core import Locale
from candy_testbed import KubeCluster, eventually
from candy_testbed.kubernetes_plugin import Agent, Objects


def service(objects: Objects, name: str, **spec: Any) -> None:
    body = {"selector": {"app": name}, "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    objects.apply("v1", "Service", name, spec={key: value for key, value in body.items() if value is not None})


def endpoints(objects: Objects, service_name: str, *ready: bool | None, slice_name: str | None = None) -> None:
    objects.apply(
        "discovery.k8s.io/v1beta1",
        "EndpointSlice",
        slice_name or f"{service_name}-1",
        labels={"kubernetes.io/service-name": service_name},
        addressType="IPv4",
        endpoints=[
            {"addresses": [f"10.0.0.{number}"], **({} if each is None else {"conditions": {"ready": each}})}
            for number, each in enumerate(ready, start=1)
        ],
        ports=[],
    )


async def test_a_service_without_a_ready_endpoint_is_an_offender(agent: Agent, objects: Objects) -> None:
    """By its EndpointSlices, which this API server serves only in ``v1beta1``."""
    service(objects, "ready")
    endpoints(objects, "ready", False, slice_name="ready-1")
    endpoints(objects, "ready", True, slice_name="ready-2")
    service(objects, "unspecified")
    endpoints(objects, "unspecified", None)
    service(objects, "unready")
    endpoints(objects, "unready", False, False)
    service(objects, "empty")
    endpoints(objects, "empty")
    service(objects, "none")
    outcome = await agent.run("services", namespace=objects.namespace, locale=Locale.ZH_CN)
    where = objects.namespace
    assert (outcome.status, outcome.value, outcome.stats["total"]) == ("warning", "3", 5)
    assert outcome.message == f"有 3 个服务超过阈值 0.00，最高值为 {where}/unready 的 3.00"
    assert outcome.details.splitlines()[-3:] == [
        f"{where}/unready (2 个端点均未就绪)",
        f"{where}/empty (没有端点)",
        f"{where}/none (没有端点)",
    ]


async def test_a_service_that_needs_no_endpoints_is_no_offender(agent: Agent, objects: Objects) -> None:
    service(objects, "name", type="ExternalName", externalName="example.com", selector=None, ports=None)
    service(objects, "manual", selector=None)
    outcome = await agent.run("services", namespace=objects.namespace)
    assert (outcome.status, outcome.value) == ("normal", "0")
    assert (outcome.stats["external_names"], outcome.stats["without_selector"]) == (1, 1)


async def test_manual_endpoints_count_if_there_are_any(agent: Agent, objects: Objects) -> None:
    service(objects, "manual", selector=None)
    endpoints(objects, "manual", False)
    assert (await agent.run("services", namespace=objects.namespace)).value == "1"
    endpoints(objects, "manual", False, True)
    assert (await agent.run("services", namespace=objects.namespace)).value == "0"


async def test_a_headless_service_needs_endpoints_like_any_other(agent: Agent, objects: Objects) -> None:
    service(objects, "headless", clusterIP="None")
    assert (await agent.run("services", namespace=objects.namespace)).value == "1"
    endpoints(objects, "headless", True)
    assert (await agent.run("services", namespace=objects.namespace)).value == "0"


async def test_a_slice_in_another_namespace_is_ignored(
    agent: Agent, objects: Objects, kube_cluster: KubeCluster
) -> None:
    service(objects, "web")
    other = Objects(kube_cluster, kube_cluster.create_namespace())
    try:
        endpoints(other, "web", True)
        selected = await agent.run("services", label_selector="!component,!provider")
        assert f"{objects.namespace}/web (has no endpoints)" in selected.details
    finally:
        kube_cluster.delete_namespace(other.namespace)


async def test_a_real_controllers_slices(
    agent: Agent,
    objects: Objects,
    kube_cluster: KubeCluster,
    kube_controller_manager: Any,
    make_node: Any,
) -> None:
    service(objects, "web")
    spec = {"containers": [{"name": "app", "image": "app:1"}], "nodeName": make_node()}
    objects.apply("v1", "Pod", "web", labels={"app": "web"}, spec=spec)
    assert (await agent.run("services", namespace=objects.namespace)).value == "1"
    kube_cluster.run_pod(objects.namespace, "web")
    path = {"podIP": "10.9.8.7", "podIPs": [{"ip": "10.9.8.7"}]}
    kube_cluster.api.patch_status("v1", "Pod", "web", path, namespace=objects.namespace)

    async def recovered() -> bool:
        return (await agent.run("services", namespace=objects.namespace)).value == "0"

    await eventually(recovered)
