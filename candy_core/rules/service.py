"""Alert rules one at a time (contract section 5). :mod:`~candy_core.rules.sync` handles many at once."""

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
from candy_core.rules.applier import RetryPolicy, WriteRecorder
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import RuleAnswer, RuleDeletion, RuleList, RuleRequest, SyncAnswer
from candy_core.rules.in_flight import InFlightWrites
from candy_core.rules.listing import Lister, ListFilter
from candy_core.rules.reading import read_desired
from candy_core.rules.sync import Synchronizer


@frozen(kw_only=True)
class RuleTiming:
    """Time limits in seconds for a call about one rule, a page of a list and a sync, and how a sync retries.

    ``concurrency`` limits the simultaneous writes of one sync.
    """

    one: float = 30.0
    page: float = 30.0
    sync: float = 120.0
    concurrency: int = 16
    retry: RetryPolicy = Factory(RetryPolicy)


class RuleService:
    """The rules of all backends. ``seconds`` replaces the default time limit of a method.

    Methods raise the errors of the port, :class:`Invalid` for problems of the request, and
    :class:`BackendUnavailable` when the time is over.
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
        self._writes = WriteRecorder(metrics, logger)
        self._lister = Lister(self._backends)
        self._in_flight = InFlightWrites()
        self._sync = Synchronizer(
            self._backends,
            self._writes,
            self._in_flight,
            concurrency=self._timing.concurrency,
            retry=self._timing.retry,
        )

    async def create(self, body: Json, *, seconds: float | None = None) -> tuple[RuleAnswer, bool]:
        """Create a rule. Returns it, and whether it was written (not in a dry run). Raises ``Exists``."""
        async with self._writing(seconds):
            request, desired = await asyncio.to_thread(read_desired, body, RuleRequest, self._backends)
            if desired.version:
                raise Invalid([Problem("$.resource_version", "expected none: a new rule has no version yet")])
            backend = desired.backend
            await backend.validate(desired.rule)
            with self._writes.record(backend, desired.rule.ref, "created", dry_run=request.dry_run):
                stored = await backend.apply(desired.rule, Absent(), dry_run=request.dry_run)
            return await _answer(stored, backend), not request.dry_run

    async def replace(self, body: Json, *, seconds: float | None = None) -> RuleAnswer:
        """Replace an existing rule. Raises ``NotFound``, ``NotManaged``, and ``Stale`` if it has changed in between.

        Without ``resource_version`` the change is based on the current version.
        """
        async with self._writing(seconds):
            request, desired = await asyncio.to_thread(read_desired, body, RuleRequest, self._backends)
            backend = desired.backend
            version = desired.version or (await backend.get(desired.rule.ref)).version
            await backend.validate(desired.rule)
            with self._writes.record(backend, desired.rule.ref, "updated", dry_run=request.dry_run):
                stored = await backend.apply(desired.rule, Version(version), dry_run=request.dry_run)
            return await _answer(stored, backend)

    async def delete(self, body: Json, *, seconds: float | None = None) -> RuleAnswer:
        """Delete a rule and return what it was. Raises as :meth:`read` does, and ``NotManaged`` and ``Stale``."""
        async with self._writing(seconds):
            request = request_reader.read(body, RuleDeletion)
            ref = RuleRef(name=request.name, namespace=request.namespace)
            backend, _ = await self._find(ref, request.type, "$.type")
            expect = Version(request.resource_version) if request.resource_version else Anything()
            with self._writes.record(backend, ref, "deleted", dry_run=request.dry_run):
                stored = await backend.delete(ref, expect, dry_run=request.dry_run)
            return await _answer(stored, backend)

    async def read(self, ref: RuleRef, type_name: str | None, *, seconds: float | None = None) -> RuleAnswer:
        """Read a rule. Raises ``NotFound``, and ``Conflict`` if no type is named and several backends have the rule."""
        async with self._in_flight.within(seconds or self._timing.one):
            backend, stored = await self._find(ref, type_name, "query.type")
            return await _answer(stored or await backend.get(ref), backend)

    async def list(
        self, where: ListFilter, *, limit: int, cursor: str | None, seconds: float | None = None
    ) -> RuleList:
        """A page of the rules of all backends or of one, with the errors of backends that cannot be listed."""
        async with self._in_flight.within(seconds or self._timing.page):
            return await self._lister.page(where, limit=limit, cursor=cursor)

    async def sync(self, body: Json, *, seconds: float | None = None) -> SyncAnswer:
        """Make the backends hold the rules of the request, or report drift if it has no ``rules``."""
        with self._in_flight.writing():
            return await self._sync.run(body, seconds or self._timing.sync)

    async def drain(self, seconds: float) -> None:
        """Reject new writes with ``Draining``, let those in flight finish within ``seconds``, and interrupt others."""
        await self._in_flight.drain(seconds)

    @asynccontextmanager
    async def _writing(self, seconds: float | None) -> AsyncIterator[None]:
        with self._in_flight.writing():
            async with self._in_flight.within(seconds or self._timing.one):
                yield

    async def _find(self, ref: RuleRef, type_name: str | None, path: str) -> tuple[Backend, StoredRule | None]:
        """The backend that has a rule, and the rule unless ``type_name`` made it unnecessary to read it."""
        if type_name is not None:
            return self._backends.require(type_name, path), None
        found: list[tuple[Backend, StoredRule]] = []
        failed: list[CandyError] = []

        async def get(backend: Backend) -> None:
            try:
                found.append((backend, await backend.get(ref)))
            except NotFound:
                pass
            except CandyError as error:
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            for backend in self._backends.all():
                group.create_task(get(backend))
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
