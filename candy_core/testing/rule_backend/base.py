"""Opens the backend under test, and what its tests have in common."""

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
from candy_core.testing.executor.witness import Witness
from candy_core.testing.rule_backend.subject import Subject

E = TypeVar("E", bound=CandyError)
T = TypeVar("T")

MARKS = {"candy-agent.io/config-map": "suite-rules", "candy-agent.io/spec-hash": "0" * 64}
"""Annotations such as the core keeps."""


class Opened:
    """The backend, open."""

    def __init__(self, subject: Subject, backend: RuleBackend, witness: Witness) -> None:
        self.subject = subject
        self.backend = backend
        self.witness = witness
        self._made: list[RuleRef] = []

    def rule(self, number: int = 1, *, name: str | None = None, namespace: str | None = None, **marks: str) -> Rule:
        """A rule with a name of its own, which is a legal object name, unless another is given."""
        ref = RuleRef(
            name=name if name is not None else f"suite-{uuid.uuid4().hex[:12]}",
            namespace=namespace or self.subject.namespaces[0],
        )
        self._made.append(ref)
        annotations = {f"candy-agent.io/{key.replace('_', '-')}": value for key, value in marks.items()}
        return Rule(ref=ref, groups=self.subject.groups(number), annotations=MARKS | annotations)

    async def made(self, number: int = 1, **more: str) -> tuple[Rule, StoredRule]:
        """A rule that has been made."""
        rule = self.rule(number, **more)
        return rule, await self.within(self.backend.apply(rule, Absent(), dry_run=False))

    async def within(self, call: Awaitable[T]) -> T:
        """A call that must end in time, and raises nothing but the errors of the agent's own vocabulary."""
        timer = asyncio.timeout(self.subject.seconds)
        try:
            async with timer:
                return await call
        except CandyError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            if timer.expired():
                fail(f"A call did not end within Subject.seconds ({self.subject.seconds:g}): bound each call.")
            fail(f"A call raised {type(error).__name__}: a backend raises the kinds of candy_core's errors alone.")

    async def raises(self, kind: type[E], call: Awaitable[object], when: str) -> E:
        """An error that a call must raise; anything else is told."""
        try:
            answer = await self.within(call)
        except kind as error:
            return error
        except CandyError as error:
            fail(f"{when}: it raised {type(error).__name__} ({error}); expected {kind.__name__}.")
        return fail(f"{when}: it gave {type(answer).__name__}; expected {kind.__name__} to be raised.")

    async def is_still(self, before: StoredRule, when: str) -> None:
        """Whether an object is what it was."""
        try:
            now = await self.within(self.backend.get(before.rule.ref))
        except NotFound:
            fail(f"{when}: the object has gone. Look before you write, in one step with the write.")
        if now.rule.groups != before.rule.groups or now.version != before.version:
            fail(f"{when}: the object has changed all the same. Look before you write, in one step with the write.")

    async def is_gone(self, ref: RuleRef, when: str) -> None:
        """Whether there is no such rule."""
        await self.raises(NotFound, self.backend.get(ref), f"{when}, get")

    async def clean(self) -> None:
        """Remove what was made."""
        for ref in self._made:
            with contextlib.suppress(Exception):  # what the test was about has been told already
                async with asyncio.timeout(self.subject.seconds):
                    await self.backend.delete(ref, Anything(), dry_run=False)


@contextlib.asynccontextmanager
async def opening(subject: Subject, settings: Json = None, witness: Witness | None = None) -> AsyncIterator[Opened]:
    """Open the backend with its settings, or with others, and close it afterwards."""
    heard = witness or Witness()
    context = plugin_context(subject.plugin, subject.credentials, logger=heard.logger(subject.plugin))
    read: Any = params_reader.read(subject.settings if settings is None else settings, subject.spec.settings)
    async with subject.spec.open(context, read) as backend:
        opened = Opened(subject, backend, heard)
        try:
            yield opened
        finally:
            await opened.clean()


class SuiteBase:
    """What the parts of the suite share."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The backend under test; a subclass gives it."""
        raise NotImplementedError("a subclass of RuleBackendSuite has a fixture `subject` that gives a Subject")

    @pytest.fixture
    async def opened(self, subject: Subject) -> AsyncIterator[Opened]:
        """The backend, open."""
        async with opening(subject) as opened:
            yield opened


async def racing(number: int, call: Callable[[int], Awaitable[object]]) -> list[object]:
    """So many calls at once; what each gave or raised."""

    async def one(index: int) -> object:
        try:
            return await call(index)
        except CandyError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(number)]
    return [task.result() for task in tasks]
