"""An engine with real parts: the embedded store, a plugin host, and executors that do what an item's params say."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal

import pytest
import structlog
from attrs import define, field, frozen

from candy_core.clock import Clock
from candy_core.engine import Engine, EngineLimits
from candy_core.errors import NotConfigured
from candy_core.hosting import PluginHost
from candy_core.metrics import Metrics
from candy_core.model.secret import Secret
from candy_core.model.task import Callback, Event, ItemStatus, Json, Outcome, Reason, TaskState
from candy_core.ports.context import PluginContext
from candy_core.ports.executor import ExecutorSpec, Item, Run
from candy_core.ports.task_store import NewDelivery, StoreLimits, TaskStore, Until
from candy_core.registry import Announced, Registry
from candy_core.store import MemoryStore
from candy_core.testing.context import plugin_context

ALL = frozenset({"*"})
Act = Literal[
    "answer",
    "hang",
    "ignore_cancel",
    "raise",
    "exit",
    "cancel_self",
    "junk",
    "no_json",
    "no_text",
    "no_index",
    "unreachable",
    "clean_up",
    "linger",
    "not_configured",
]


@frozen(kw_only=True)
class Settings:
    """None."""


@frozen(kw_only=True)
class Params:
    """What a scripted executor is to do. ``fail_first``: how many attempts end as ``act`` before it answers."""

    act: Act = "answer"
    value: str = "1"
    status: ItemStatus = ItemStatus.NORMAL
    fail_first: int = 99
    batch: str | None = None
    place: str | None = None
    secret_scope: bool = False
    own_scope: bool = False
    scopes_fault: bool = False
    password: Secret | None = None


@define
class Stage:
    """What the executors of one test saw. ``gate`` holds ``hang`` until it is set."""

    gate: asyncio.Event = field(factory=asyncio.Event)
    entered: list[int | str] = field(factory=list)
    batches: list[list[int | str]] = field(factory=list)
    times: set[float] = field(factory=set)
    attempts: Counter[int | str] = field(factory=Counter)
    running: Counter[str] = field(factory=Counter)
    most: Counter[str] = field(factory=Counter)
    cleaned: list[int | str] = field(factory=list)

    async def act(self, item: Item[Params], run: Run) -> Outcome:
        """Do what the params say."""
        params = item.params
        self.entered.append(item.id)
        self.attempts[item.id] += 1
        self.times.add(run.time)
        act = params.act if self.attempts[item.id] <= params.fail_first else "answer"
        good = Outcome(status=params.status, reason=Reason.OK, value=params.value)
        match act:
            case "answer" | "linger":
                await asyncio.sleep(0)
            case "hang":
                await self.gate.wait()
            case "ignore_cancel":
                while not self.gate.is_set():
                    try:
                        await self.gate.wait()
                    except asyncio.CancelledError:
                        continue
            case "raise":
                password = params.password.reveal() if params.password else "hunter2"
                raise RuntimeError(f"a fault of the plugin with a secret: {password}")
            case "exit":
                raise SystemExit(3)
            case "cancel_self":
                raise asyncio.CancelledError
            case "junk":
                return "no outcome"  # type: ignore[return-value]  # that is the point
            case "no_json":
                stats: Any = {"a": object()}
                return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, stats=stats)
            case "no_text":
                value: Any = float("nan")
                return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value=value)
            case "not_configured":
                raise NotConfigured("set plugins.scripted.url")
            case "unreachable":
                return Outcome(status=ItemStatus.FAILED, reason=Reason.UNREACHABLE, message="nobody there")
            case "clean_up":
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    self.cleaned.append(item.id)
                    return Outcome(
                        status=ItemStatus.NORMAL, reason="made_up", details="killed 3", stats={"terminated": "verified"}
                    )
        return good


@frozen
class OneByOne:
    """Runs one item at a time."""

    stage: Stage
    name: str

    async def run(self, item: Item[Params], run: Run) -> Outcome:
        self.stage.running[self.name] += 1
        self.stage.most[self.name] = max(self.stage.most[self.name], self.stage.running[self.name])
        self.stage.most["all"] = max(self.stage.most["all"], sum(self.stage.running.values()))
        try:
            return await self.stage.act(item, run)
        finally:
            self.stage.running[self.name] -= 1


@frozen
class Together:
    """Runs items of one key in one call; one that is to ``raise`` raises for all that have not been answered.

    With one that is to ``linger`` the call goes on once all are answered.
    """

    stage: Stage

    async def run_batch(self, items: Sequence[Item[Params]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        self.stage.batches.append([item.id for item in items])
        for item in items:
            if item.params.act == "no_index":
                index: Any = [item.index]
                yield index, Outcome(status=ItemStatus.NORMAL, reason=Reason.OK)
            elif item.params.act != "junk":  # which stands for: no answer
                yield item.index, await self.stage.act(item, run)
        if any(item.params.act == "linger" for item in items):
            await self.stage.gate.wait()


def _opener(make: Callable[[], Any]) -> Callable[[PluginContext, Settings], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def opening(context: PluginContext, settings: Settings) -> AsyncIterator[Any]:
        yield make()

    return opening


def _needed_scopes(params: Params) -> frozenset[str]:
    if params.scopes_fault and params.password:
        raise RuntimeError(f"a fault of the plugin with a secret: {params.password.reveal()}")
    if params.own_scope:
        return frozenset({"scripted:own"})
    return frozenset({"tasks:command"}) if params.secret_scope else frozenset()


def registry_of(stage: Stage) -> Registry:
    """``test``, ``slow`` (two calls at a time), ``shared`` (two for each ``place``), ``batch`` (three items a call)."""
    specs = [
        ExecutorSpec(
            name="test",
            aliases=("Test",),
            params=Params,
            settings=Settings,
            open=_opener(lambda: OneByOne(stage, "test")),
            scopes=_needed_scopes,
        ),
        ExecutorSpec(
            name="slow",
            params=Params,
            settings=Settings,
            open=_opener(lambda: OneByOne(stage, "slow")),
            max_concurrent=2,
        ),
        ExecutorSpec(
            name="shared",
            params=Params,
            settings=Settings,
            open=_opener(lambda: OneByOne(stage, "shared")),
            concurrency_key=lambda params: params.place,
            max_concurrent=2,
        ),
        ExecutorSpec(
            name="batch",
            params=Params,
            settings=Settings,
            open=_opener(lambda: Together(stage)),
            batch_key=lambda params: params.batch,
            max_batch=3,
        ),
    ]
    announced = {spec.name: Announced(plugin="scripted", spec=spec) for spec in specs}
    return Registry(executors={**announced, "Test": announced["test"]})


@define
class Bench:
    """An engine at work, and what a test needs to talk to it."""

    engine: Engine
    stage: Stage
    metrics: Metrics
    limits: dict[str, int]
    announced: list[tuple[Event, TaskState]]

    @property
    def store(self) -> TaskStore:
        return self.engine.store

    async def submit(self, *items: Json, **more: Json) -> str:
        """Submit a task; gives its id."""
        submitted = await self.engine.submit({"items": list(items), **more}, ALL, strict=False)
        return submitted.state.task_id

    async def result(self, task_id: str) -> dict[str, Any]:
        """Wait for a task's end, and give its result object."""
        state = await self.store.wait(task_id, Until.ENDED, 120)
        assert state is not None
        assert state.status.ended, state
        return await self.so_far(task_id)

    async def so_far(self, task_id: str) -> dict[str, Any]:
        """The result object as it is."""
        text = await self.store.read_result(task_id)
        assert text is not None
        value: dict[str, Any] = json.loads(text)
        return value

    async def run(self, *items: Json, **more: Json) -> dict[str, Any]:
        """Submit a task and wait for its result."""
        return await self.result(await self.submit(*items, **more))


@asynccontextmanager
async def engine_at_work(
    *,
    store: TaskStore | None = None,
    clock: Clock | None = None,
    slice_size: int = 10_000,
    cancel_grace: float = 0.1,
    plan: bool = False,
) -> AsyncIterator[Bench]:
    """An engine that runs for as long as the context is held."""

    stage = Stage()
    metrics = Metrics("test")
    log = structlog.get_logger("test")
    limits = {"calls": 64, "calls_per_executor": 32, "tasks": 8}
    announced: list[tuple[Event, TaskState]] = []
    host = PluginHost(
        registry_of(stage),
        context=partial(plugin_context, logger=log),
        settings=lambda plugin, kind: kind(),
        required=(),
        metrics=metrics,
        logger=log,
    )

    def plan_one(task_id: str, callback: Callback | None) -> tuple[NewDelivery, ...]:
        return (NewDelivery(id=f"d-{task_id}", reporter="callback", callback=callback, max_age=60),) if plan else ()

    engine = Engine(
        store=store or MemoryStore(StoreLimits(max_pending=50)),
        executors=host.executors,
        limits=EngineLimits(
            calls=lambda: limits["calls"],
            calls_per_executor=lambda: limits["calls_per_executor"],
            tasks=lambda: limits["tasks"],
        ),
        plan=plan_one,
        check_callback=lambda callback: (),
        announce=lambda event, state, callback: announced.append((event, state)),
        metrics=metrics,
        logger=log,
        worker="test",
        clock=clock,
        slice_size=slice_size,
        cancel_grace=cancel_grace,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(host.run()), group.create_task(engine.run())]
        await host.opened()
        try:
            yield Bench(engine=engine, stage=stage, metrics=metrics, limits=limits, announced=announced)
        finally:
            stage.gate.set()
            for task in reversed(tasks):
                task.cancel()


@pytest.fixture(params=[10_000, 2], ids=["whole-task", "slices-of-2"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The engine, once claiming whole tasks and once in slices, as agents do that share a store."""
    async with engine_at_work(slice_size=request.param) as bench:
        yield bench


def item(
    number: int | str, kind: str = "test", *, timeout: float | None = None, retries: int = 0, **params: Json
) -> Json:
    """An item of a request."""
    made: dict[str, Json] = {"id": number, "type": kind, "params": params, "retries": retries}
    return made if timeout is None else {**made, "timeout": timeout}
