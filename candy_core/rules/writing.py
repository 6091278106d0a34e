"""Writes of rules: counted and logged, and for a sync carried through outages and races.

A write whose answer did not arrive may have happened. So after every failure that may pass the object is read again,
and what is there decides what is still to be done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from attrs import Factory, define, field, frozen

from candy_core.backoff import Backoff
from candy_core.errors import CandyError, Exists, NotFound, NotManaged, Overloaded, Retriable, Stale
from candy_core.metrics import Metrics
from candy_core.model.rule import RulePage, RuleRef, StoredRule
from candy_core.ports.context import Logger
from candy_core.ports.rule_backend import Absent, Version
from candy_core.rules.annotations import is_like
from candy_core.rules.backends import Backend, BackendBroken
from candy_core.rules.reading import Wanted

_MOST_RACES = 5
"""Times that a write may find the object changed since it was read; then somebody else is at it all the time."""


@frozen(kw_only=True)
class Retrying:
    """How long a sync carries on while a backend cannot be had, in seconds.

    ``backoff`` gives the pauses between attempts. A backend that has not answered for ``window`` is given up;
    ``listing`` is the same for the lists that a sync begins with, when nothing has been written yet.
    """

    backoff: Backoff = Factory(lambda: Backoff(first=0.25, longest=4.0))
    window: float = 45.0
    listing: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Writes:
    """Counts and logs every write."""

    def __init__(self, metrics: Metrics, logger: Logger) -> None:
        self._metrics = metrics
        self._log = logger

    @contextmanager
    def told(self, backend: Backend, ref: RuleRef, result: str, *, dry_run: bool) -> Iterator[None]:
        """Around one write: ``result`` is what it is counted as when nothing is raised, else the error's code."""
        code, why = result, ""
        try:
            yield
        except CandyError as error:
            code, why = error.code, str(error)
            raise
        finally:
            if not dry_run:
                self._metrics.rules_writes.labels(backend.name, code).inc()
                log = self._log.warning if why else self._log.info
                log("rule_write", type=backend.name, namespace=ref.namespace, rule=ref.name, result=code, detail=why)

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Around a whole sync."""
        with self._metrics.rules_sync_seconds.time():
            yield


@define
class Attempts:
    """The attempts at one thing, and since when they fail."""

    backend: Backend
    what: str
    failed: int = 0
    since: float = 0.0


@define
class Patience:
    """Waits for backends that cannot be had, for no longer than a window.

    It opens with the first failure of the attempts at one thing, and for a backend as a whole with the first one after
    anything of the kind was successful: reads may be answered while no write is.
    """

    retrying: Retrying
    window: float
    _silent_since: dict[tuple[str, str], float] = field(factory=dict)

    def heard(self, attempts: Attempts) -> None:
        """It was successful."""
        self._silent_since.pop((attempts.backend.name, attempts.what), None)

    async def wait(self, attempts: Attempts, error: Retriable) -> None:
        """Wait before the next attempt, as long as an ``Overloaded`` says; raises ``error`` where that is too long."""
        if isinstance(error, BackendBroken):
            raise error
        now = self.retrying.clock()
        if not attempts.failed:
            attempts.since = now
        delay = self.retrying.backoff.delay(attempts.failed + 1)
        if isinstance(error, Overloaded):
            delay = max(delay, error.retry_after)
        attempts.failed += 1
        silent_since = self._silent_since.setdefault((attempts.backend.name, attempts.what), now)
        if now + delay - min(attempts.since, silent_since) > self.window:
            raise error
        await self.retrying.sleep(delay)

    async def get(self, backend: Backend, ref: RuleRef) -> StoredRule | None:
        """What is there now, however long that takes to be told."""
        attempts = Attempts(backend, "read")
        while True:
            try:
                stored: StoredRule | None = await backend.get(ref)
            except NotFound:
                stored = None
            except Retriable as error:
                await self.wait(attempts, error)
                continue
            self.heard(attempts)
            return stored

    async def page(self, backend: Backend, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """A page of a listing."""
        attempts = Attempts(backend, "read")
        while True:
            try:
                page = await backend.list(namespace, limit=limit, cursor=cursor)
            except Retriable as error:
                await self.wait(attempts, error)
                continue
            self.heard(attempts)
            return page


@frozen(kw_only=True)
class Carrier:
    """Carries single writes of a sync through to their end."""

    writes: Writes
    patience: Patience
    dry_run: bool
    _claimed: dict[tuple[str, str, str], str] = field(factory=dict, init=False)
    """Of a dry run: whose each object would be that is not there yet, by backend, namespace and object."""

    async def hold(self, wanted: Wanted, present: StoredRule | None) -> str:
        """Make the backend hold a rule, ``present`` being what was read last: created, updated or unchanged.

        Raises what cannot be helped, the last error of an outage among it.
        """
        backend, rule = wanted.backend, wanted.rule
        result = "unchanged"
        checked = uncertain = taken = False
        attempts, races = Attempts(backend, "write"), 0
        while True:
            if present is not None and is_like(present, rule):
                return result if uncertain else "unchanged"
            _check_present(wanted, present)
            if not uncertain:
                result = "created" if present is None else "updated"
            try:
                if not checked:
                    await backend.validate(rule)
                    checked = True
                expect = Absent() if present is None else Version(present.version)
                with self.writes.told(backend, rule.ref, result, dry_run=self.dry_run):
                    stored = await backend.apply(rule, expect, dry_run=self.dry_run)
            except Retriable as error:
                uncertain = uncertain or (checked and not self.dry_run)
                await self.patience.wait(attempts, error)
                present = await self.patience.get(backend, rule.ref)
            except (Exists, NotFound, Stale) as error:
                races += 1
                if races > _MOST_RACES:
                    raise
                present = await self.patience.get(backend, rule.ref)
                if present is None and isinstance(error, Exists):
                    if taken:
                        raise  # the object is kept for another name
                    taken = True  # or somebody has made it, and deleted it since: that is not so twice
            else:
                self.patience.heard(attempts)
                if self.dry_run and stored.object_name:
                    self._claim(backend, stored)
                return result

    def _claim(self, backend: Backend, stored: StoredRule) -> None:
        """Raise where two rules of one dry run lead to the same object: it makes none, so that no other call tells."""
        ref = stored.rule.ref
        owner = self._claimed.setdefault((backend.name, ref.namespace, stored.object_name), ref.name)
        if owner != ref.name:
            raise Exists(
                f"The object {stored.object_name!r} in {ref.namespace} is for the rule {owner!r} of this request."
            )

    async def remove(self, backend: Backend, present: StoredRule) -> str:
        """Have a rule deleted that was there when it was read last."""
        ref = present.rule.ref
        attempts, races = Attempts(backend, "write"), 0
        now: StoredRule | None = present
        while now is not None:
            if not now.managed:
                raise _not_managed(now)
            try:
                with self.writes.told(backend, ref, "deleted", dry_run=self.dry_run):
                    await backend.delete(ref, Version(now.version), dry_run=self.dry_run)
            except NotFound:
                break
            except Retriable as error:
                await self.patience.wait(attempts, error)
            except Stale:
                races += 1
                if races > _MOST_RACES:
                    raise
            else:
                self.patience.heard(attempts)
                break
            now = await self.patience.get(backend, ref)
        return "deleted"


def _check_present(wanted: Wanted, present: StoredRule | None) -> None:
    if present is not None and not present.managed:
        raise _not_managed(present)
    if wanted.version and (present is None or present.version != wanted.version):
        raise Stale(f"The rule {wanted.rule.ref.name!r} is not of the version any more that the change is based on.")


def _not_managed(stored: StoredRule) -> NotManaged:
    ref = stored.rule.ref
    return NotManaged(
        f"The object {stored.object_name!r} in {ref.namespace} is not managed by the agent, which leaves it alone."
    )
