"""Sync: the backends are made to hold the rules of a request; and what has drifted (contract section 5)."""

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
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import SyncAnswer, SyncRequest, SyncResult, SyncSummary
from candy_core.rules.in_flight import InFlightWrites
from candy_core.rules.plan import Place, Plan, likely_places, place_of, plan_of, to_be_pruned
from candy_core.rules.writing import Carrier, Patience, Retrying, Writes

_ONE_LIST = 5000
"""Rules of a page of the list that a sync begins with: for most clusters that is one call."""

_LATE = BackendUnavailable("the time of the sync was up; this may have been done or not")

Listed: TypeAlias = tuple[StoredRule, ...] | CandyError
Job: TypeAlias = Callable[[], Awaitable[None]]


@define(kw_only=True)
class _Sync:
    """One sync under way. ``pruned`` goes by backend, namespace and name."""

    plan: Plan
    carrier: Carrier
    places: asyncio.Semaphore
    listed: Mapping[Place, Listed]
    results: dict[int, SyncResult] = field(factory=dict)
    pruned: dict[tuple[str, str, str], SyncResult] = field(factory=dict)
    blocked: list[int] = field(factory=list)
    """Rules whose object is kept for another name, which prune may make room for."""

    async def each(self, jobs: Iterable[Job]) -> None:
        """Some jobs at a time, each of which keeps its own errors."""

        async def run(job: Job) -> None:
            async with self.places:
                await job()

        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(run(job))

    async def hold(self, index: int, present: StoredRule | None) -> None:
        """Make one rule hold."""
        name = self.plan.names[index]
        try:
            word = await self.carrier.hold(self.plan.wanted[index], present)
            self.results[index] = SyncResult(name=name, result=word)
        except CandyError as error:
            self.results[index] = _failed(name, error)
            if isinstance(error, Exists):
                self.blocked.append(index)

    async def remove(self, key: tuple[str, str, str], stored: StoredRule) -> None:
        """Prune one rule."""
        try:
            word = await self.carrier.remove(self.plan.backends[key[0]], stored)
            self.pruned[key] = SyncResult(name=key[2], result=word)
        except CandyError as error:
            self.pruned[key] = _failed(key[2], error)

    def work(self) -> list[tuple[int, StoredRule | None]]:
        """The rules that are not held yet, with what is there; those that are, or cannot be, get their results."""
        present: dict[tuple[Place, str], StoredRule] = {}
        for place, found in self.listed.items():
            for stored in () if isinstance(found, CandyError) else found:
                if stored.managed or (place, stored.rule.ref.name) not in present:
                    present[place, stored.rule.ref.name] = stored
        work: list[tuple[int, StoredRule | None]] = []
        for index, wanted in self.plan.wanted.items():
            place, name = place_of(wanted), self.plan.names[index]
            found = self.listed[place]
            there = present.get((place, name))
            if isinstance(found, CandyError):
                self.results[index] = _failed(name, found)
            elif there is not None and there.managed and is_like(there, wanted.rule):
                self.results[index] = SyncResult(name=name, result="unchanged")
            else:
                work.append((index, there))
        return work

    def pruning(self) -> list[Job]:
        """What is to be deleted. Each has failed until it is done; so has a place that could not be listed."""
        jobs: list[Job] = []
        for place in self.plan.pruned:
            found = self.listed[place]
            if isinstance(found, CandyError):
                if all(place_of(wanted) != place for wanted in self.plan.wanted.values()):
                    self.pruned[place.backend, place.namespace, ""] = _failed("", found)
                continue
            for stored in to_be_pruned(self.plan, place, found):
                key = (place.backend, place.namespace, stored.rule.ref.name)
                self.pruned[key] = _failed(key[2], _LATE)
                jobs.append(partial(self.remove, key, stored))
        return jobs


@frozen
class Synchronizer:
    """Runs syncs; ``concurrency`` bounds the writes of each at one time."""

    backends: Backends
    writes: Writes
    under_way: InFlightWrites
    concurrency: int = field(kw_only=True)
    retrying: Retrying = field(kw_only=True)

    async def run(self, body: Json, seconds: float) -> SyncAnswer:
        """Do what a request asks for, within ``seconds``; what was not reached by then is ``failed``.

        Raises :class:`Invalid` for what concerns the whole request, and :class:`BackendUnavailable` where none of what
        it needs can be had.
        """
        request = request_reader.read(body, SyncRequest)
        if request.rules is None:
            if request.prune:
                raise Invalid([Problem("$.rules", "is required where prune is asked for: prune keeps what is named")])
            async with self.under_way.within(seconds):
                return await self._drift(request)
        end = asyncio.get_running_loop().time() + seconds
        with self.writes.syncing():
            async with self.under_way.within(seconds):
                plan, listed = await self._prepare(request, request.rules)
            _raise_if_nothing_answers(listed)
            patience = Patience(self.retrying, self.retrying.window)
            carrier = Carrier(writes=self.writes, patience=patience, dry_run=request.dry_run)
            sync = _Sync(plan=plan, carrier=carrier, places=asyncio.Semaphore(self.concurrency), listed=listed)
            try:
                async with self.under_way.until(end) as timer:
                    await self._write(sync)
            except TimeoutError:
                if not timer.expired():
                    raise
            return _answer(sync)

    async def _prepare(self, request: SyncRequest, rules: tuple[Json, ...]) -> tuple[Plan, dict[Place, Listed]]:
        """The plan, and what its places hold; most of these can be told, and read, before the plan is made."""
        likely = likely_places(request, rules, self.backends)
        async with asyncio.TaskGroup() as group:
            early = group.create_task(self._list(likely))
            plan = await asyncio.to_thread(_planned, request, rules, self.backends)
            if isinstance(plan, Invalid):
                early.cancel()
        if isinstance(plan, Invalid):
            raise plan
        listed = early.result() | await self._list(
            {place: plan.backends[place.backend] for place in plan.places if place not in likely}
        )
        return plan, {place: listed[place] for place in plan.places}

    async def _list(self, places: Mapping[Place, Backend]) -> dict[Place, Listed]:
        """What every place holds, or why that cannot be told; a place without a namespace is all of them."""
        patience = Patience(self.retrying, self.retrying.listing)
        listed: dict[Place, Listed] = {}

        async def read(place: Place, backend: Backend) -> None:
            found: list[StoredRule] = []
            cursor: str | None = None
            try:
                while True:
                    page = await patience.page(backend, place.namespace or None, limit=_ONE_LIST, cursor=cursor)
                    found += page.rules
                    cursor = page.next_cursor
                    if cursor is None:
                        break
                listed[place] = tuple(found)
            except CandyError as error:
                listed[place] = error

        async with asyncio.TaskGroup() as group:
            for place, backend in places.items():
                group.create_task(read(place, backend))
        return listed

    async def _write(self, sync: _Sync) -> None:
        work = await asyncio.to_thread(sync.work)  # it compares every rule with what is there
        pruning = sync.pruning()
        await sync.each(partial(sync.hold, index, there) for index, there in work)
        await sync.each(pruning)
        if not sync.carrier.dry_run and any(result.result == "deleted" for result in sync.pruned.values()):
            blocked, sync.blocked = sync.blocked, []
            await sync.each(partial(sync.hold, index, None) for index in blocked)

    async def _drift(self, request: SyncRequest) -> SyncAnswer:
        if request.type is not None:
            asked = {"": self.backends.expect(request.type, "$.type")}
        else:
            asked = {backend.name: backend for backend in self.backends.all()}
        backends = {backend.name: backend for backend in asked.values()}
        listed = await self._list({Place(name, request.namespace or ""): one for name, one in backends.items()})
        _raise_if_nothing_answers(listed)
        results: list[SyncResult] = []
        unchanged = 0
        for place, found in sorted(listed.items(), key=lambda pair: pair[0].backend):
            kind = backends[place.backend].type_name
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


def _raise_if_nothing_answers(listed: Mapping[Place, Listed]) -> None:
    """A backend without its CRD or cluster is a 503: where there is no other, it is the answer's own status."""
    errors = [found for found in listed.values() if isinstance(found, CandyError)]
    if errors and len(errors) == len(listed) and all(isinstance(error, Retriable) for error in errors):
        raise errors[0]


def _answer(sync: _Sync) -> SyncAnswer:
    results: list[SyncResult] = []
    for index, name in enumerate(sync.plan.names):
        if index in sync.plan.bad:
            results.append(SyncResult(name=name, result="failed", errors=sync.plan.bad[index]))
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
    told = Problem("$.groups", f"differs from what the agent wrote last ({where})")
    return SyncResult(name=stored.rule.ref.name, result="drifted", errors=(told,))
