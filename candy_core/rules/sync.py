"""Sync: make the backends hold the rules of a request, or report drift (contract section 5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from attrs import define, field, frozen

from candy_core.codec import request_reader
from candy_core.errors import BackendUnavailable, CandyError, Exists, Invalid, Problem, Retriable
from candy_core.model.rule import StoredRule
from candy_core.model.task import Json
from candy_core.rules.annotations import has_drifted, is_like
from candy_core.rules.applier import Applier, RetryPolicy, RetryWindow, WriteRecorder
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import SyncAnswer, SyncRequest, SyncResult, SyncSummary
from candy_core.rules.in_flight import InFlightWrites
from candy_core.rules.plan import BackendNamespace, Plan, likely_targets, plan_of, target_of, to_be_pruned

_ONE_LIST = 5000
"""The page size of the list at the start of a sync. For most clusters that is one call."""

_LATE = BackendUnavailable("the time of the sync was over; this may or may not have been done")

Listed: TypeAlias = tuple[StoredRule, ...] | CandyError
Lists: TypeAlias = dict[BackendNamespace, Listed]
Job: TypeAlias = Callable[[], Awaitable[None]]


@define(kw_only=True)
class _Sync:
    """One running sync. ``pruned`` has its results by backend, namespace and name."""

    plan: Plan
    applier: Applier
    slots: asyncio.Semaphore
    listed: Lists
    results: dict[int, SyncResult] = field(factory=dict)
    pruned: dict[tuple[str, str, str], SyncResult] = field(factory=dict)
    blocked: list[int] = field(factory=list)
    """Rules whose object has another name's rule, which prune may delete."""

    async def run_all(self, jobs: Iterable[Job]) -> None:
        """Run jobs, as many at a time as there are slots. Each job keeps its own errors."""

        async def run(job: Job) -> None:
            async with self.slots:
                await job()

        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(run(job))

    async def apply(self, index: int, present: StoredRule | None) -> None:
        """Apply one rule and keep its result."""
        name = self.plan.names[index]
        try:
            word = await self.applier.apply(self.plan.desired[index], present)
            self.results[index] = SyncResult(name=name, result=word)
        except CandyError as error:
            self.results[index] = _failed(name, error)
            if isinstance(error, Exists):
                self.blocked.append(index)

    async def remove(self, key: tuple[str, str, str], stored: StoredRule) -> None:
        """Prune one rule and keep its result."""
        try:
            word = await self.applier.remove(self.plan.backends[key[0]], stored)
            self.pruned[key] = SyncResult(name=key[2], result=word)
        except CandyError as error:
            self.pruned[key] = _failed(key[2], error)

    def to_apply(self) -> list[tuple[int, StoredRule | None]]:
        """The rules to apply, each with its present object. The other rules get their results."""
        present: dict[tuple[BackendNamespace, str], StoredRule] = {}
        for target, found in self.listed.items():
            for stored in () if isinstance(found, CandyError) else found:
                if stored.managed or (target, stored.rule.ref.name) not in present:
                    present[target, stored.rule.ref.name] = stored
        rest: list[tuple[int, StoredRule | None]] = []
        for index, desired in self.plan.desired.items():
            target, name = target_of(desired), self.plan.names[index]
            found = self.listed[target]
            current = present.get((target, name))
            if isinstance(found, CandyError):
                self.results[index] = _failed(name, found)
            elif current is not None and current.managed and is_like(current, desired.rule):
                self.results[index] = SyncResult(name=name, result="unchanged")
            else:
                rest.append((index, current))
        return rest

    def removals(self) -> list[Job]:
        """The deletions of prune. The result of each is ``failed`` until it is done, as for a target without a list."""
        jobs: list[Job] = []
        for target in self.plan.pruned:
            found = self.listed[target]
            if isinstance(found, CandyError):
                if all(target_of(desired) != target for desired in self.plan.desired.values()):
                    self.pruned[target.backend, target.namespace, ""] = _failed("", found)
                continue
            for stored in to_be_pruned(self.plan, target, found):
                key = (target.backend, target.namespace, stored.rule.ref.name)
                self.pruned[key] = _failed(key[2], _LATE)
                jobs.append(partial(self.remove, key, stored))
        return jobs


@frozen
class Synchronizer:
    """Runs syncs. ``concurrency`` limits the simultaneous writes of each."""

    backends: Backends
    writes: WriteRecorder
    in_flight: InFlightWrites
    concurrency: int = field(kw_only=True)
    retry: RetryPolicy = field(kw_only=True)

    async def run(self, body: Json, seconds: float) -> SyncAnswer:
        """Process a request within ``seconds``. What is not done by then is ``failed``.

        Raises :class:`Invalid` for problems of the request as a whole, and :class:`BackendUnavailable` if no backend
        that it needs is available.
        """
        request = request_reader.read(body, SyncRequest)
        if request.rules is None:
            if request.prune:
                raise Invalid([Problem("$.rules", "is required with prune: prune keeps what is named")])
            async with self.in_flight.within(seconds):
                return await self._drift(request)
        end = asyncio.get_running_loop().time() + seconds
        with self.writes.syncing():
            async with self.in_flight.within(seconds):
                plan, listed = await self._prepare(request, request.rules)
            _raise_if_all_unavailable(listed)
            retries = RetryWindow(self.retry, self.retry.window)
            applier = Applier(writes=self.writes, retries=retries, dry_run=request.dry_run)
            sync = _Sync(plan=plan, applier=applier, slots=asyncio.Semaphore(self.concurrency), listed=listed)
            try:
                async with self.in_flight.until(end) as timer:
                    await self._write(sync)
            except TimeoutError:
                if not timer.expired():
                    raise
            return _answer(sync)

    async def _prepare(self, request: SyncRequest, rules: tuple[Json, ...]) -> tuple[Plan, Lists]:
        """The plan, and the lists of its targets, most of which are read while the plan is being made."""
        likely = likely_targets(request, rules, self.backends)
        async with asyncio.TaskGroup() as group:
            early = group.create_task(self._list(likely))
            plan = await asyncio.to_thread(_planned, request, rules, self.backends)
            if isinstance(plan, Invalid):
                early.cancel()
        if isinstance(plan, Invalid):
            raise plan
        listed = early.result() | await self._list(
            {target: plan.backends[target.backend] for target in plan.targets if target not in likely}
        )
        return plan, {target: listed[target] for target in plan.targets}

    async def _list(self, targets: Mapping[BackendNamespace, Backend]) -> Lists:
        """The rules of every target, or the error of its list. An empty namespace stands for all namespaces."""
        retries = RetryWindow(self.retry, self.retry.listing)
        listed: Lists = {}

        async def read(target: BackendNamespace, backend: Backend) -> None:
            found: list[StoredRule] = []
            cursor: str | None = None
            try:
                while True:
                    page = await retries.page(backend, target.namespace or None, limit=_ONE_LIST, cursor=cursor)
                    found += page.rules
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                listed[target] = tuple(found)
            except CandyError as error:
                listed[target] = error

        async with asyncio.TaskGroup() as group:
            for target, backend in targets.items():
                group.create_task(read(target, backend))
        return listed

    async def _write(self, sync: _Sync) -> None:
        to_apply = await asyncio.to_thread(sync.to_apply)  # compares every rule with its object
        removals = sync.removals()
        await sync.run_all(partial(sync.apply, index, current) for index, current in to_apply)
        await sync.run_all(removals)
        if not sync.applier.dry_run and any(result.result == "deleted" for result in sync.pruned.values()):
            blocked, sync.blocked = sync.blocked, []
            await sync.run_all(partial(sync.apply, index, None) for index in blocked)

    async def _drift(self, request: SyncRequest) -> SyncAnswer:
        if request.type is not None:
            every: Iterable[Backend] = (self.backends.require(request.type, "$.type"),)
        else:
            every = self.backends.all()
        backends = {backend.name: backend for backend in every}
        listed = await self._list(
            {BackendNamespace(name, request.namespace or ""): one for name, one in backends.items()}
        )
        _raise_if_all_unavailable(listed)
        results: list[SyncResult] = []
        unchanged = 0
        for target, found in sorted(listed.items(), key=lambda pair: pair[0].backend):
            kind = backends[target.backend].type_name
            if isinstance(found, CandyError):
                results.append(_failed("", found, path="$.type", prefix=f"{kind}: "))
                continue
            drifted = await asyncio.to_thread(_drifted_of, found)
            results += [_drifted(stored, kind) for stored in drifted]
            unchanged += sum(stored.managed for stored in found) - len(drifted)
        return SyncAnswer(results=tuple(results), summary=_summary(results, unchanged))


def _planned(request: SyncRequest, rules: tuple[Json, ...], backends: Backends) -> Plan | Invalid:
    try:
        return plan_of(request, rules, backends)
    except Invalid as error:
        return error


def _raise_if_all_unavailable(listed: Lists) -> None:
    """If no backend is available, the whole request is a 503 and not a list of failures."""
    errors = [found for found in listed.values() if isinstance(found, CandyError)]
    if errors and len(errors) == len(listed) and all(isinstance(error, Retriable) for error in errors):
        raise errors[0]


def _answer(sync: _Sync) -> SyncAnswer:
    results: list[SyncResult] = []
    for index, name in enumerate(sync.plan.names):
        if index in sync.plan.invalid:
            results.append(SyncResult(name=name, result="failed", errors=sync.plan.invalid[index]))
        else:
            results.append(sync.results.get(index) or _failed(name, _LATE))
    results += [result for _, result in sorted(sync.pruned.items())]
    return SyncAnswer(results=tuple(results), summary=_summary(results, 0))


def _summary(results: list[SyncResult], unchanged: int) -> SyncSummary:
    counts = Counter(result.result for result in results)
    counts["unchanged"] += unchanged
    return SyncSummary(**counts)


def _failed(name: str, error: CandyError, *, path: str = "$", prefix: str = "") -> SyncResult:
    if isinstance(error, Invalid):
        return SyncResult(name=name, result="failed", errors=error.problems)
    return SyncResult(name=name, result="failed", errors=(Problem(path, f"{prefix}{error.code}: {error}"),))


def _drifted_of(found: tuple[StoredRule, ...]) -> list[StoredRule]:
    return [stored for stored in found if has_drifted(stored)]


def _drifted(stored: StoredRule, kind: str) -> SyncResult:
    where = f"{kind}, namespace {stored.rule.ref.namespace}, object {stored.object_name}"
    problem = Problem("$.groups", f"differs from what the agent wrote last ({where})")
    return SyncResult(name=stored.rule.ref.name, result="drifted", errors=(problem,))
