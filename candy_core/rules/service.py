"""Alert rules one at a time (contract section 5); :mod:`~candy_core.rules.sync` has many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import Factory, frozen

from candy_core.codec import request_reader
from candy_core.errors import CandyError, Conflict, Invalid, NotFound, Problem, Retriable
from candy_core.hosting import Hosted
from candy_core.metrics import Metrics
from candy_core.model.rule import RuleRef, StoredRule
from candy_core.model.task import Json
from candy_core.ports.context import Logger
from candy_core.ports.rule_backend import Absent, Anything, RuleBackend, Version
from candy_core.rules.annotations import answer_of
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import RuleAnswer, RuleDeletion, RuleList, RuleRequest, SyncAnswer
from candy_core.rules.in_flight import InFlightWrites
from candy_core.rules.listing import Lister, ListFilter
from candy_core.rules.reading import read_wanted
from candy_core.rules.sync import Synchronizer
from candy_core.rules.writing import Retrying, Writes


@frozen(kw_only=True)
class RuleTiming:
    """Seconds that a call about one rule, a page of a list and a sync may take, and how writes of a sync are retried.

    ``concurrency`` bounds the writes of one sync at one time.
    """

    one: float = 30.0
    page: float = 30.0
    sync: float = 120.0
    concurrency: int = 16
    retrying: Retrying = Factory(Retrying)


class RuleService:
    """Rules in every backend. Each method may be given ``seconds`` for all of it, in the place of the usual bound.

    The errors are those of the port, :class:`Invalid` for what is wrong with the request, and
    :class:`BackendUnavailable` where the time is up.
    """

    def __init__(
        self,
        *,
        backends: Mapping[str, Hosted[RuleBackend]],
        metrics: Metrics,
        logger: Logger,
        timing: RuleTiming | None = None,
    ) -> None:
        self._backends = Backends(backends, logger)
        self._timing = timing or RuleTiming()
        self._writes = Writes(metrics, logger)
        self._lister = Lister(self._backends)
        self._under_way = InFlightWrites()
        self._sync = Synchronizer(
            self._backends,
            self._writes,
            self._under_way,
            concurrency=self._timing.concurrency,
            retrying=self._timing.retrying,
        )

    async def create(self, body: Json, *, seconds: float | None = None) -> tuple[RuleAnswer, bool]:
        """A rule that is not there yet, and whether it was written (not for a dry run). Raises ``Exists``."""
        async with self._writing(seconds):
            request, wanted = await asyncio.to_thread(read_wanted, body, RuleRequest, self._backends)
            if wanted.version:
                raise Invalid(
                    [Problem("$.resource_version", "expected none: a rule that is to be made has no version")]
                )
            backend = wanted.backend
            await backend.validate(wanted.rule)
            with self._writes.told(backend, wanted.rule.ref, "created", dry_run=request.dry_run):
                stored = await backend.apply(wanted.rule, Absent(), dry_run=request.dry_run)
            return await _answer(stored, backend), not request.dry_run

    async def replace(self, body: Json, *, seconds: float | None = None) -> RuleAnswer:
        """A rule that is there already. Raises ``NotFound``, ``NotManaged``, and ``Stale`` after a change in between.

        Without ``resource_version`` the change is based on what is there now.
        """
        async with self._writing(seconds):
            request, wanted = await asyncio.to_thread(read_wanted, body, RuleRequest, self._backends)
            backend = wanted.backend
            version = wanted.version or (await backend.get(wanted.rule.ref)).version
            await backend.validate(wanted.rule)
            with self._writes.told(backend, wanted.rule.ref, "updated", dry_run=request.dry_run):
                stored = await backend.apply(wanted.rule, Version(version), dry_run=request.dry_run)
            return await _answer(stored, backend)

    async def delete(self, body: Json, *, seconds: float | None = None) -> RuleAnswer:
        """Remove a rule, and give what it was. Raises as :meth:`read`, and ``NotManaged`` and ``Stale``."""
        async with self._writing(seconds):
            request = request_reader.read(body, RuleDeletion)
            ref = RuleRef(name=request.name, namespace=request.namespace)
            backend, _ = await self._find(ref, request.type, "$.type")
            expect = Version(request.resource_version) if request.resource_version else Anything()
            with self._writes.told(backend, ref, "deleted", dry_run=request.dry_run):
                stored = await backend.delete(ref, expect, dry_run=request.dry_run)
            return await _answer(stored, backend)

    async def read(self, ref: RuleRef, type_name: str | None, *, seconds: float | None = None) -> RuleAnswer:
        """A rule. Raises ``NotFound``, and ``Conflict`` where several backends hold it and no type is named."""
        async with self._under_way.within(seconds or self._timing.one):
            backend, stored = await self._find(ref, type_name, "query.type")
            return await _answer(stored or await backend.get(ref), backend)

    async def list(
        self, where: ListFilter, *, limit: int, cursor: str | None, seconds: float | None = None
    ) -> RuleList:
        """A page of the rules of all backends, or of one; what could not be asked stands beside them."""
        async with self._under_way.within(seconds or self._timing.page):
            return await self._lister.page(where, limit=limit, cursor=cursor)

    async def sync(self, body: Json, *, seconds: float | None = None) -> SyncAnswer:
        """Make the backends hold what the request names, or without ``rules`` report what has drifted."""
        with self._under_way.writing():
            return await self._sync.run(body, seconds or self._timing.sync)

    async def drain(self, seconds: float) -> None:
        """Refuse writes with ``Draining``, and let those under way end within ``seconds``; the rest are cut short."""
        await self._under_way.drain(seconds)

    @asynccontextmanager
    async def _writing(self, seconds: float | None) -> AsyncIterator[None]:
        with self._under_way.writing():
            async with self._under_way.within(seconds or self._timing.one):
                yield

    async def _find(self, ref: RuleRef, type_name: str | None, path: str) -> tuple[Backend, StoredRule | None]:
        """The backend that holds a rule; where one is named it is that, and it was not asked."""
        if type_name is not None:
            return self._backends.expect(type_name, path), None
        found: list[tuple[Backend, StoredRule]] = []
        failed: list[CandyError] = []

        async def look(backend: Backend) -> None:
            try:
                found.append((backend, await backend.get(ref)))
            except NotFound:
                pass
            except CandyError as error:
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            for backend in self._backends.all():
                group.create_task(look(backend))
        if len(found) == 1:
            return found[0]
        if found:
            types = ", ".join(sorted(backend.type_name for backend, _ in found))
            raise Conflict(f"Several backends hold a rule {ref.name!r} in {ref.namespace}: {types}. Name one as type.")
        if failed:
            raise next((error for error in failed if isinstance(error, Retriable)), failed[0])
        raise NotFound(f"There is no rule {ref.name!r} in the namespace {ref.namespace}.")


async def _answer(stored: StoredRule, backend: Backend) -> RuleAnswer:
    return await asyncio.to_thread(answer_of, stored, backend.type_name, backend.group)
