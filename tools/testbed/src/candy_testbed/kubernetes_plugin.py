"""What the tests of the plugin ``kubernetes`` share: the plugin, opened and asked as the core does, and its objects."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from attrs import frozen

from candy_core import ByteLimits, Health, Item, Locale, Outcome, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_kube import Environment
from candy_kubernetes.executor import KubernetesExecutor, open_executor
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.plugin import check as check_health
from candy_kubernetes.settings import KubernetesSettings
from candy_testbed.kube.cluster import KubeCluster
from candy_testbed.task_run import task_run

ANSWER = 32 * 1024 * 1024


@frozen
class Agent:
    """The opened executor."""

    executor: KubernetesExecutor

    async def run(self, check: str, *, later: float = 0.0, locale: Locale = Locale.EN, **params: Any) -> Outcome:
        """One item. ``later``: so many seconds from now is the task's instant."""
        [outcome] = await self.run_together({"check": check, **params}, later=later, locale=locale)
        return outcome

    async def run_together(
        self, *params: Mapping[str, Any], later: float = 0.0, locale: Locale = Locale.EN
    ) -> list[Outcome]:
        """Items of one task in one call."""
        run = task_run(instant=time.time() + later, locale=locale)
        items = [
            Item(index=index, id=index, name="", params=params_reader.read(each, KubernetesParams))
            for index, each in enumerate(params)
        ]
        found = {index: outcome async for index, outcome in self.executor.run_batch(items, run)}
        return [found[index] for index in range(len(params))]

    async def health(self) -> Health:
        """The result of the plugin's health check."""
        return await check_health(self.executor)


class Open(Protocol):
    """Opens the executor with these settings; ``limit`` bounds an answer, in bytes."""

    def __call__(self, *, limit: int = ..., **settings: Any) -> AbstractAsyncContextManager[Agent]: ...


def opener(environment: Environment) -> Open:
    """Opens the executor in the given environment."""

    @asynccontextmanager
    async def opened(*, limit: int = ANSWER, **settings: Any) -> AsyncIterator[Agent]:
        read = params_reader.read(settings, KubernetesSettings)
        context = plugin_context("kubernetes", limits=ByteLimits(answer=limit))
        async with open_executor(context, read, environment) as executor:
            yield Agent(executor)

    return opened


@frozen
class Objects:
    """Makes objects in the test's namespace, with the status that a kubelet or a controller would give them."""

    cluster: KubeCluster
    namespace: str

    def apply(self, api_version: str, kind: str, name: str, **more: Any) -> Any:
        """One object; ``labels``, ``annotations`` are its metadata, ``status`` its status, the rest its body."""
        metadata = {"name": name} | {key: more.pop(key) for key in ("labels", "annotations") if key in more}
        status = more.pop("status", None)
        body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}
        [made] = self.cluster.api.apply(body, namespace=self.namespace)
        if status is None:
            return made
        return self.cluster.api.patch_status(api_version, kind, name, status, namespace=self.namespace)

    def pod(self, name: str, status: Mapping[str, Any] | None = None, **metadata: Any) -> Any:
        """A pod with one container; without a ``status`` it is Pending, since no kubelet runs it."""
        containers = [{"name": "app", "image": "app:1"}]
        return self.apply("v1", "Pod", name, spec={"containers": containers}, status=status, **metadata)

    def workload(self, kind: str, name: str, status: Mapping[str, Any] | None = None, **spec: Any) -> Any:
        """A Deployment, DaemonSet or StatefulSet. Of the ``status``, ``observedGeneration`` is true unless given."""
        labels = {"app": name}
        body = {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}},
            **({"serviceName": name} if kind == "StatefulSet" else {}),
            **spec,
        }
        made = self.apply("apps/v1", kind, name, spec=body, labels=labels)
        if status is None:
            return made
        reported = {"observedGeneration": made["metadata"]["generation"], **status}
        return self.cluster.api.patch_status("apps/v1", kind, name, reported, namespace=self.namespace)
