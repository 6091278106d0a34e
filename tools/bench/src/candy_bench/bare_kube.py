"""Talks to an API server in the plain way, with ``kubernetes.aio`` itself: ``list``, ``create`` or ``apply``.

A program: ``list|create|apply KUBECONFIG NAMESPACE COUNT CONCURRENCY``; prints the seconds of one list of all
PrometheusRules of the namespace, or of creating ``COUNT`` of them, by POST or by server-side apply. Its connections are
made before the clock starts.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop
from kubernetes.aio import client, config

from candy_bench.rule_bodies import expression, rule_name

GROUP, VERSION, PLURAL = "monitoring.coreos.com", "v1", "prometheusrules"


def rule_object(number: int, namespace: str) -> dict[str, Any]:
    """What the agent makes of the same rule, without the agent's own marks."""
    name = rule_name(number)
    alert = {"alert": name, "expr": expression(number), "for": "5m", "labels": {"severity": "warning"}}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "PrometheusRule",
        "metadata": {"name": name.lower(), "namespace": namespace},
        "spec": {"groups": [{"name": name, "rules": [alert]}]},
    }


async def read(api: Any, namespace: str) -> float:
    """Seconds of one list."""
    began = time.perf_counter()
    await api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL)
    return time.perf_counter() - began


def marked(body: dict[str, Any]) -> dict[str, Any]:
    """An object with marks like the agent's own, and a version that lets an apply do nothing but create."""
    marks = {f"bench/{name}": "0" * length for name, length in (("name", 8), ("spec-hash", 64))}
    metadata = {"labels": {"app.kubernetes.io/managed-by": "bench"}, "annotations": marks, "resourceVersion": "1"}
    return {**body, "metadata": {**body["metadata"], **metadata}}


async def write(api: Any, namespace: str, count: int, concurrency: int, *, apply: bool) -> float:
    """Seconds of all creates."""
    waiting = iter(range(count))

    async def create(body: dict[str, Any]) -> None:
        await api.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)

    async def create_by_apply(body: dict[str, Any]) -> None:
        await api.patch_namespaced_custom_object(
            *(GROUP, VERSION, namespace, PLURAL, body["metadata"]["name"], marked(body)),
            field_manager="bench",
            _content_type="application/apply-patch+yaml",
        )

    async def work() -> None:
        for number in waiting:
            await (create_by_apply if apply else create)(rule_object(number, namespace))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return time.perf_counter() - began


async def main(operation: str, kubeconfig: str, namespace: str, count: int, concurrency: int) -> float:
    """Do one of the two."""
    await config.load_kube_config(kubeconfig)  # type: ignore[no-untyped-call]  # the library has no types
    async with client.ApiClient() as session:
        api = client.CustomObjectsApi(session)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(read(api, "default"))
        if operation == "list":
            return await read(api, namespace)
        return await write(api, namespace, count, concurrency, apply=operation == "apply")


if __name__ == "__main__":
    print(uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))))
