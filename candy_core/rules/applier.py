"""Writes of rules: counted and logged, and retried by a sync through outages and races.

A write whose response was lost may have happened. So after every temporary failure the object is read again, and its
present state decides what is left to do.
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
from candy_core.rules.reading import DesiredRule

_MAX_RACES = 5
"""How often a write may find its object changed since it was read, before it fails."""


@frozen(kw_only=True)
class RetryPolicy:
    """How long a sync goes on trying an unavailable backend, in seconds.

    ``backoff`` gives the pauses between attempts. After ``window`` without a success the sync stops trying; ``listing``
    is the same for the lists at its start, before anything has been written.
    """

    backoff: Backoff = Factory(lambda: Backoff(first=0.25, longest=4.0))
    window: float = 45.0
    listing: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class WriteRecorder:
    """Counts and logs writes."""

    def __init__(self, metrics: Metrics, logger: Logger) -> None:
        self._metrics = metrics
        self._log = logger

    @contextmanager
    def record(self, backend: Backend, ref: RuleRef, result: str, *, dry_run: bool) -> Iterator[None]:
        """Around one write, which counts as ``result``, or as the code of the error that it raises."""
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
    """The attempts at one operation, and since when they fail."""

    backend: Backend
    operation: str
    failed: int = 0
    since: float = 0.0


@define
class RetryWindow:
    """Retries calls to unavailable backends until a window is over.

    The window starts with the first failure of an operation, or earlier, with the first failure of this kind of
    operation since the last success. Reads and writes are different kinds: a backend may answer only reads.
    """

    policy: RetryPolicy
    window: float
    _failing_since: dict[tuple[str, str], float] = field(factory=dict)

    def succeeded(self, attempts: Attempts) -> None:
        """Note a success."""
        self._failing_since.pop((attempts.backend.name, attempts.operation), None)

    async def wait(self, attempts: Attempts, error: Retriable) -> None:
        """Wait before the next attempt, at least as long as an ``Overloaded`` says, or raise ``error`` in the end."""
        if isinstance(error, BackendBroken):
            raise error
        now = self.policy.clock()
        if not attempts.failed:
            attempts.since = now
        delay = self.policy.backoff.delay(attempts.failed + 1)
        if isinstance(error, Overloaded):
            delay = max(delay, error.retry_after)
        attempts.failed += 1
        failing_since = self._failing_since.setdefault((attempts.backend.name, attempts.operation), now)
        if now + delay - min(attempts.since, failing_since) > self.window:
            raise error
        await self.policy.sleep(delay)

    async def get(self, backend: Backend, ref: RuleRef) -> StoredRule | None:
        """Read a rule with retries. Returns ``None`` if it does not exist."""
        attempts = Attempts(backend, "read")
        while True:
            try:
                stored: StoredRule | None = await backend.get(ref)
            except NotFound:
                stored = None
            except Retriable as error:
                await self.wait(attempts, error)
                continue
            self.succeeded(attempts)
            return stored

    async def page(self, backend: Backend, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        """Read a page of a list with retries."""
        attempts = Attempts(backend, "read")
        while True:
            try:
                page = await backend.list(namespace, limit=limit, cursor=cursor)
            except Retriable as error:
                await self.wait(attempts, error)
                continue
            self.succeeded(attempts)
            return page


@frozen(kw_only=True)
class Applier:
    """Makes the single writes of a sync, each until it succeeds or its retry window is over."""

    writes: WriteRecorder
    retries: RetryWindow
    dry_run: bool
    _claimed: dict[tuple[str, str, str], str] = field(factory=dict, init=False)
    """In a dry run: the rule that would get each new object, by backend, namespace and object."""

    async def apply(self, desired: DesiredRule, present: StoredRule | None) -> str:
        """Write a rule, of which ``present`` was read last. Returns ``created``, ``updated`` or ``unchanged``.

        Raises errors that no retry helps, and the last error of an outage that outlasts the retry window.
        """
        backend, rule = desired.backend, desired.rule
        result = "unchanged"
        checked = uncertain = taken = False
        attempts, races = Attempts(backend, "write"), 0
        while True:
            if present is not None and is_like(present, rule):
                return result if uncertain else "unchanged"
            _check_present(desired, present)
            if not uncertain:
                result = "created" if present is None else "updated"
            try:
                if not checked:
                    await backend.validate(rule)
                    checked = True
                expect = Absent() if present is None else Version(present.version)
                with self.writes.record(backend, rule.ref, result, dry_run=self.dry_run):
                    stored = await backend.apply(rule, expect, dry_run=self.dry_run)
            except Retriable as error:
                uncertain = uncertain or (checked and not self.dry_run)
                await self.retries.wait(attempts, error)
                present = await self.retries.get(backend, rule.ref)
            except (Exists, NotFound, Stale) as error:
                races += 1
                if races > _MAX_RACES:
                    raise
                present = await self.retries.get(backend, rule.ref)
                if present is None and isinstance(error, Exists):
                    if taken:
                        raise  # the object belongs to a rule of another name
                    taken = True  # or another writer has created and deleted it since, which is unlikely twice
            else:
                self.retries.succeeded(attempts)
                if self.dry_run and stored.object_name:
                    self._claim(backend, stored)
                return result

    def _claim(self, backend: Backend, stored: StoredRule) -> None:
        """Raise if two rules of one dry run get the same object, which the backend cannot notice without writing."""
        ref = stored.rule.ref
        owner = self._claimed.setdefault((backend.name, ref.namespace, stored.object_name), ref.name)
        if owner != ref.name:
            raise Exists(
                f"The object {stored.object_name!r} in {ref.namespace} is for the rule {owner!r} of this request."
            )

    async def remove(self, backend: Backend, present: StoredRule) -> str:
        """Delete a rule that existed when it was read last."""
        ref = present.rule.ref
        attempts, races = Attempts(backend, "write"), 0
        now: StoredRule | None = present
        while now is not None:
            if not now.managed:
                raise _not_managed(now)
            try:
                with self.writes.record(backend, ref, "deleted", dry_run=self.dry_run):
                    await backend.delete(ref, Version(now.version), dry_run=self.dry_run)
            except NotFound:
                break
            except Retriable as error:
                await self.retries.wait(attempts, error)
            except Stale:
                races += 1
                if races > _MAX_RACES:
                    raise
            else:
                self.retries.succeeded(attempts)
                break
            now = await self.retries.get(backend, ref)
        return "deleted"


def _check_present(desired: DesiredRule, present: StoredRule | None) -> None:
    if present is not None and not present.managed:
        raise _not_managed(present)
    if desired.version and (present is None or present.version != desired.version):
        raise Stale(f"The rule {desired.rule.ref.name!r} has changed since the version that this change is based on.")


def _not_managed(stored: StoredRule) -> NotManaged:
    ref = stored.rule.ref
    return NotManaged(
        f"The object {stored.object_name!r} in {ref.namespace} is not managed by the agent and stays as it is."
    )
