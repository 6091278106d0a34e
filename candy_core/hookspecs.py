"""Every hook of the agent.

A hook announces, it never connects. It returns Specs, as a list or a generator. A Spec has the classes of params and
settings, and ``open``, an async context manager that connects. So listing what is installed does no I/O. The core calls
each hook once, at start.

A plugin is a distribution with an entry point in the group ``candy``. The name of the entry point is the plugin's name,
and its value is a module or another object with hook implementations::

    [project.entry-points.candy]
    hello = "candy_hello.plugin"

The examples import from ``contextlib``, ``attrs`` and ``candy_core``, and share these settings::

    @frozen(kw_only=True)
    class Settings:
        greeting: str = "Hello"  # every setting has a default
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from candy_core.ports.cluster_probe import ClusterProbeSpec
from candy_core.ports.executor import ExecutorSpec
from candy_core.ports.reporter import ReporterSpec
from candy_core.ports.rule_backend import RuleBackendSpec
from candy_core.ports.task_store import TaskStoreSpec

PROJECT = "candy"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook with its name."""


@hookspec
def candy_executors() -> Iterable[ExecutorSpec[Any, Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Announce executors, each for one item ``type``::

    @frozen(kw_only=True)
    class Params:
        name: str

    @frozen
    class Hello:
        greeting: str

        async def run(self, item, run):
            value = f"{self.greeting}, {item.params.name}"
            return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value=value)

    @asynccontextmanager
    async def open_hello(context, settings):
        yield Hello(settings.greeting)

    @hookimpl
    def candy_executors():
        yield ExecutorSpec(name="hello", params=Params, settings=Settings, open=open_hello)
    """


@hookspec
def candy_rule_backends() -> Iterable[RuleBackendSpec[Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Announce rule backends, each for one rule ``type``::

    @asynccontextmanager
    async def open_notebook(context, settings):
        yield Notebook()  # candy_core.testing.rule_backend has this class

    @hookimpl
    def candy_rule_backends():
        yield RuleBackendSpec(name="notebook", settings=Settings, open=open_notebook)
    """


@hookspec
def candy_reporters() -> Iterable[ReporterSpec[Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Announce reporters, which deliver the results of tasks::

    class Printer:
        async def deliver(self, delivery):
            print(delivery.task_id, delivery.document.decode())
            return Delivered()

    @asynccontextmanager
    async def open_printer(context, settings):
        yield Printer()

    @hookimpl
    def candy_reporters():
        yield ReporterSpec(name="printer", settings=Settings, open=open_printer)
    """


@hookspec
def candy_cluster_probes() -> Iterable[ClusterProbeSpec[Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Announce cluster probes, which read the heartbeat's figures::

    class Laboratory:
        async def read(self):
            return ClusterInfo(name="laboratory", nodes=3)

    @asynccontextmanager
    async def open_laboratory(context, settings):
        yield Laboratory()

    @hookimpl
    def candy_cluster_probes():
        yield ClusterProbeSpec(name="laboratory", settings=Settings, open=open_laboratory)
    """


@hookspec
def candy_task_stores() -> Iterable[TaskStoreSpec[Any]]:  # type: ignore[empty-body]  # a spec has no body
    """Announce task stores, which ``CANDY_TASK_STORE`` names::

    from candy_core.task_store import TaskStoreSpec

    @asynccontextmanager
    async def open_shared(context, settings, limits):
        yield SharedStore(limits)  # has the methods of candy_core.task_store.TaskStore

    @hookimpl
    def candy_task_stores():
        yield TaskStoreSpec(name="shared", settings=Settings, open=open_shared)
    """
