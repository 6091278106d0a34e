"""What the tests of the plugin ``kubernetes`` share: the plugin, opened and asked as the core does, and its objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import structlog
from attrs import frozen

from candy_core import ByteLimits, Health, Item, Locale, Outcome, PluginContext, Run, Secret, params_reader
from candy_kit_kube import Environment
from candy_kubernetes.executor import KubernetesExecutor, open_executor
from candy_kubernetes.params import KubernetesParams
from candy_kubernetes.plugin import check as check_health
from candy_kubernetes.settings import KubernetesSettings
from candy_testbed.kube.cluster import KubeCluster

ANSWER = 32 * 1024 * 1024


async def no_credential(name: str) -> Secret:
    """For a plugin that has all its secrets in its settings."""
    raise AssertionError(f"nobody asks for the credential {name}")


def lent(limit: int = ANSWER) -> PluginContext:
    """What the core lends to the plugin; ``limit`` bounds an answer, in bytes."""
    return PluginContext(
        plugin="kubernetes",
        agent_id="agent",
        core_version="0.1.0",
        logger=structlog.get_logger(),
        credential=no_credential,
        limits=ByteLimits(answer=limit),
    )


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
        run = Run(
            task_id="task",
            time=time.time() + later,
            locale=locale,
            deadline=asyncio.get_running_loop().time() + 20,
            logger=structlog.get_logger(),
        )
        items = [
            Item(index=index, id=index, name="", params=params_reader.read(each, KubernetesParams))
            for index, each in enumerate(params)
        ]
        found = {index: outcome async for index, outcome in self.executor.run_batch(items, run)}
        return [found[index] for index in range(len(params))]

    async def health(self) -> Health:
        """What the plugin's own check says."""
        return await check_health(self.executor)


class Open(Protocol):
    """Opens the executor with these settings; ``limit`` bounds an answer, in bytes."""

    def __call__(self, *, limit: int = ..., **settings: Any) -> AbstractAsyncContextManager[Agent]: ...


def opener(environment: Environment) -> Open:
    """Opens the executor in the given environment."""

    @asynccontextmanager
    async def opened(*, limit: int = ANSWER, **settings: Any) -> AsyncIterator[Agent]:
        read = params_reader.read(settings, KubernetesSettings)
        async with open_executor(lent(limit), read, environment) as executor:
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
        """A pod with one container; without a ``status`` it is Pending, for nobody takes it up."""
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
        told = {"observedGeneration": made["metadata"]["generation"], **status}
        return self.cluster.api.patch_status("apps/v1", kind, name, told, namespace=self.namespace)
