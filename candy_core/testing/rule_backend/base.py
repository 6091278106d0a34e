"""Opens the backend under test, and has what its tests share."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from candy_core.codec import params_reader
from candy_core.errors import CandyError, NotFound
from candy_core.model.rule import Rule, RuleRef, StoredRule
from candy_core.model.task import Json
from candy_core.ports.rule_backend import Absent, Anything, RuleBackend
from candy_core.testing.context import plugin_context
from candy_core.testing.executor.call import fail
from candy_core.testing.executor.log_capture import LogCapture
from candy_core.testing.rule_backend.subject import Subject

E = TypeVar("E", bound=CandyError)
T = TypeVar("T")

ANNOTATIONS = {"candy-agent.io/config-map": "suite-rules", "candy-agent.io/spec-hash": "0" * 64}
"""Annotations like those of the core."""


class Opened:
    """The open backend."""

    def __init__(self, subject: Subject, backend: RuleBackend, log: LogCapture) -> None:
        self.subject = subject
        self.backend = backend
        self.log = log
        self._created: list[RuleRef] = []

    def rule(self, number: int = 1, *, name: str | None = None, namespace: str | None = None, **keys: str) -> Rule:
        """A rule with a given name, or a unique one that is a legal object name."""
        ref = RuleRef(
            name=name if name is not None else f"suite-{uuid.uuid4().hex[:12]}",
            namespace=namespace or self.subject.namespaces[0],
        )
        self._created.append(ref)
        more = {f"candy-agent.io/{key.replace('_', '-')}": value for key, value in keys.items()}
        return Rule(ref=ref, groups=self.subject.groups(number), annotations=ANNOTATIONS | more)

    async def create(self, number: int = 1, **more: str) -> tuple[Rule, StoredRule]:
        """Create a rule."""
        rule = self.rule(number, **more)
        return rule, await self.call(self.backend.apply(rule, Absent(), dry_run=False))

    async def call(self, call: Awaitable[T]) -> T:
        """Await a call, which must end in time and may raise only :class:`CandyError`."""
        timer = asyncio.timeout(self.subject.seconds)
        try:
            async with timer:
                return await call
        except CandyError:
            raise
        except Exception as error:  # noqa: BLE001  # any other exception is a failure
            if timer.expired():
                fail(f"A call did not end within Subject.seconds ({self.subject.seconds:g}): limit its time.")
            fail(f"A call raised {type(error).__name__}: a backend may raise only errors of candy_core.")

    async def raises(self, kind: type[E], call: Awaitable[object], when: str) -> E:
        """Check that a call raises an error of this kind, and return it."""
        try:
            result = await self.call(call)
        except kind as error:
            return error
        except CandyError as error:
            fail(f"{when}: it raised {type(error).__name__} ({error}); expected {kind.__name__}.")
        return fail(f"{when}: it returned {type(result).__name__}; expected {kind.__name__} to be raised.")

    async def check_unchanged(self, before: StoredRule, when: str) -> None:
        """Check that an object has not changed."""
        try:
            now = await self.call(self.backend.get(before.rule.ref))
        except NotFound:
            fail(f"{when}: the object is gone. Check before you write, in one step with the write.")
        if now.rule.groups != before.rule.groups or now.version != before.version:
            fail(f"{when}: the object has changed nevertheless. Check before you write, in one step with the write.")

    async def check_absent(self, ref: RuleRef, when: str) -> None:
        """Check that a rule does not exist."""
        await self.raises(NotFound, self.backend.get(ref), f"{when}, get")

    async def clean(self) -> None:
        """Delete the rules that the test created."""
        for ref in self._created:
            with contextlib.suppress(Exception):  # the test itself has reported already
                async with asyncio.timeout(self.subject.seconds):
                    await self.backend.delete(ref, Anything(), dry_run=False)


@contextlib.asynccontextmanager
async def opening(subject: Subject, settings: Json = None, log: LogCapture | None = None) -> AsyncIterator[Opened]:
    """Open the backend with its settings or others, and close it afterwards."""
    log = log or LogCapture()
    context = plugin_context(subject.plugin, subject.credentials, logger=log.logger(subject.plugin))
    read: Any = params_reader.read(subject.settings if settings is None else settings, subject.spec.settings)
    async with subject.spec.open(context, read) as backend:
        opened = Opened(subject, backend, log)
        try:
            yield opened
        finally:
            await opened.clean()


class SuiteBase:
    """The base of the suite's classes."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The backend under test, given by a subclass."""
        raise NotImplementedError("a subclass of RuleBackendSuite has a fixture `subject` that gives a Subject")

    @pytest.fixture
    async def opened(self, subject: Subject) -> AsyncIterator[Opened]:
        """The open backend."""
        async with opening(subject) as opened:
            yield opened


async def racing(number: int, call: Callable[[int], Awaitable[object]]) -> list[object]:
    """Run calls at the same time, and return what each returned or raised."""

    async def one(index: int) -> object:
        try:
            return await call(index)
        except CandyError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(number)]
    return [task.result() for task in tasks]
