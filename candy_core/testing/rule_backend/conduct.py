"""Conduct: races, checks, cancels, an other side that is away, secrets, the announcement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from attrs import evolve

from candy_core.codec import params_reader, to_json
from candy_core.errors import CandyError, Exists, NotConfigured, NotFound, Problem, Retriable, Stale
from candy_core.faults import PluginFault
from candy_core.model.rule import StoredRule
from candy_core.ports.rule_backend import Absent, Anything, Version
from candy_core.registry.checks import check_port, check_spec
from candy_core.testing.executor.base import needed
from candy_core.testing.executor.call import abandon, fail
from candy_core.testing.executor.witness import Witness, seen_in
from candy_core.testing.rule_backend.base import Opened, SuiteBase, opening, racing
from candy_core.testing.rule_backend.subject import Subject

_TURNS = (*range(10), 20, 40)
"""How many turns of the event loop a call has before it is cancelled."""


class ConductSuite(SuiteBase):
    """How it goes about it."""

    async def test_the_announcement_is_whole(self, subject: Subject) -> None:
        """As the core checks it when it loads the plugin; and a canonical group stays as it is."""
        try:
            check_spec("candy_rule_backends", subject.spec)
            async with opening(subject) as opened:
                check_port("rule_backend", subject.spec, opened.backend)
        except PluginFault as fault:
            fail(f"The core would refuse this plugin: {fault}")
        if subject.spec.group is not None:
            for group in subject.groups(1):
                canonical = to_json(params_reader.read(group, subject.spec.group), drop_none=True)
                if canonical != group:
                    fail(
                        "A group that is read with the spec's class and written again is another one:",
                        "give fields without a value None for their default, and each key its field.",
                    )

    async def test_it_opens_without_settings_and_says_what_it_lacks(self, subject: Subject) -> None:
        """Contract section 7: "a plugin without settings is ``active``"; §5: "503 ``backend_unavailable``"."""
        async with opening(subject, {}) as opened:
            with contextlib.suppress(NotFound, Retriable, NotConfigured):  # or what it needs is there anyway
                await opened.within(opened.backend.get(opened.rule().ref))

    async def test_of_many_that_make_it_one_does(self, opened: Opened) -> None:
        """Lessons of server-side apply: six racing creates by one manager gave one 201 and five 200s."""
        for _ in range(3):
            rule = opened.rule()
            answers = await opened.within(
                racing(
                    opened.subject.racers,
                    lambda index, rule=rule: opened.backend.apply(  # type: ignore[misc]
                        evolve(rule, groups=opened.subject.groups(index)), Absent(), dry_run=False
                    ),
                )
            )
            await _one_won(opened, answers, Exists, "racing apply(Absent)")

    async def test_of_many_that_change_one_version_one_does(self, opened: Opened) -> None:
        """Contract section 5: no update is lost: "every apply with a resourceVersion"."""
        for _ in range(3):
            rule, stored = await opened.made(0)
            answers = await opened.within(
                racing(
                    opened.subject.racers,
                    lambda index, rule=rule, stored=stored: opened.backend.apply(  # type: ignore[misc]
                        evolve(rule, groups=opened.subject.groups(1 + index)), Version(stored.version), dry_run=False
                    ),
                )
            )
            await _one_won(opened, answers, Stale, "racing apply(Version)")

    async def test_of_many_that_delete_it_one_does(self, opened: Opened) -> None:
        rule, stored = await opened.made()
        answers = await opened.within(
            racing(
                opened.subject.racers,
                lambda index: opened.backend.delete(rule.ref, Version(stored.version), dry_run=False),
            )
        )
        winners = [answer for answer in answers if isinstance(answer, StoredRule)]
        others = [answer for answer in answers if not isinstance(answer, StoredRule | NotFound | Stale)]
        if len(winners) != 1 or others:
            fail(f"Of {len(answers)} racing deletes {len(winners)} succeeded; expected one, and NotFound or Stale.")
        await opened.is_gone(rule.ref, "after racing deletes")

    async def test_a_good_rule_has_no_problems_and_is_not_written(self, opened: Opened) -> None:
        rule = opened.rule()
        if problems := await opened.within(opened.backend.validate(rule)):
            fail(f"validate finds something wrong with Subject.groups(1): {problems}")
        await opened.is_gone(rule.ref, "after validate")

    async def test_every_problem_is_found_at_its_place(self, opened: Opened) -> None:
        """Contract section 5: "each error names group, rule and field: ``$.groups[0].rules[1].expr``"."""
        needed(opened.subject.bad, "bad", "list rules that the backend refuses, with a path at which it says so")
        for bad in opened.subject.bad:
            rule = evolve(opened.rule(), groups=bad.groups)
            problems = await opened.within(opened.backend.validate(rule))
            if not all(isinstance(problem, Problem) and problem.message for problem in problems):
                fail("validate gave something else than problems with messages.")
            if bad.path not in [problem.path for problem in problems]:
                fail(f"validate says nothing at {bad.path} of a bad rule; it says {list(problems)}")
            await opened.is_gone(rule.ref, "after validate of a bad rule")

    async def test_a_cancelled_call_leaves_nothing_of_it_running(self, opened: Opened) -> None:
        """Whatever it was doing, the object is there whole or not at all, and the next call works."""
        before = asyncio.all_tasks()
        for turns in _TURNS:
            rule, stored = await opened.made(1)
            changed = evolve(rule, groups=opened.subject.groups(2))
            calls: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: opened.backend.get(rule.ref),  # noqa: B023  # called at once, below
                lambda: opened.backend.apply(changed, Version(stored.version), dry_run=False),  # noqa: B023  # the same
                lambda: opened.backend.delete(rule.ref, Anything(), dry_run=False),  # noqa: B023  # the same
            )
            for call in calls:
                await _cancelled(opened, call, turns)
            with contextlib.suppress(NotFound):
                now = await opened.within(opened.backend.get(rule.ref))
                if now.rule.groups not in (rule.groups, changed.groups):
                    fail("After a cancelled call the object is neither what it was nor what it was to be.")
        for _ in range(50):
            left = {task for task in asyncio.all_tasks() - before if not task.done()}
            if not left:
                return
            await asyncio.sleep(0.01)
        fail(f"After cancelled calls {len(left)} task(s) still run: await what you start, in a TaskGroup.")

    async def test_when_its_other_side_is_away_it_says_so(self, subject: Subject) -> None:
        """Contract section 5: "a backend without its CRD or cluster is 503 ``backend_unavailable``"."""
        needed(subject.unreachable, "unreachable", "give settings with which the other side cannot be had")
        async with opening(subject, subject.unreachable) as opened:
            rule = opened.rule()
            backend = opened.backend
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "list": lambda: backend.list(None, limit=1, cursor=None),
                "get": lambda: backend.get(rule.ref),
                "apply": lambda: backend.apply(rule, Absent(), dry_run=False),
                "a dry run of apply": lambda: backend.apply(rule, Absent(), dry_run=True),
                "delete": lambda: backend.delete(rule.ref, Anything(), dry_run=False),
            }
            for what, call in calls.items():
                await opened.raises(Retriable, call(), f"{what} while the other side is away")

    async def test_no_secret_is_logged_or_told(self, subject: Subject) -> None:
        """Contract section 1: no answer and no log ever shows a secret."""
        needed(subject.secrets, "secrets", "list every secret text within settings and credentials")
        witness = Witness()
        with witness.listening():
            for settings in (subject.settings, subject.unreachable):
                if settings is None:
                    continue
                witness.note("the settings", repr(params_reader.read(settings, subject.spec.settings)))
                async with opening(subject, settings, witness) as opened:
                    await _say_everything(opened)
                    if subject.spec.check is not None:
                        witness.note("check()", repr(await subject.spec.check(opened.backend)))
        for where, text in witness.heard:
            for number, how in seen_in(text, subject.secrets):
                fail(
                    f"Subject.secrets[{number}] is seen in {where}, {how}.",
                    "Hold it in a candy_core.Secret, and reveal() it only where it leaves for the wire.",
                )


async def _one_won(opened: Opened, answers: list[object], other: type[CandyError], what: str) -> None:
    winners = [answer for answer in answers if isinstance(answer, StoredRule)]
    wrong = [answer for answer in answers if not isinstance(answer, StoredRule | other)]
    if len(winners) != 1 or wrong:
        seen = sorted({type(answer).__name__ for answer in answers})
        fail(
            f"Of {len(answers)} calls of {what} {len(winners)} succeeded; expected one, and {other.__name__} for the",
            f"rest. They gave {', '.join(seen)}. Let the other side compare the version in one step with the write.",
        )
    await opened.is_still(winners[0], f"after {what}, with what the one that succeeded wrote")


async def _cancelled(opened: Opened, call: Callable[[], Awaitable[object]], turns: int) -> None:
    async def run() -> None:
        with contextlib.suppress(CandyError):
            await call()

    task = asyncio.create_task(run())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=min(opened.subject.seconds, 5.0))  # as long as the core waits
    if not task.done():
        abandon(task)
        fail("A call did not end within 5 s after it was cancelled: let the cancellation through.")
    if not task.cancelled() and (error := task.exception()) is not None:
        fail(f"A cancelled call raised {type(error).__name__}: let the cancellation through.")


async def _say_everything(opened: Opened) -> None:
    """Have it raise whatever it can, and take down what it says."""
    backend, witness = opened.backend, opened.witness
    rule = opened.rule()
    witness.note("the backend's repr", repr(backend))
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: backend.get(rule.ref),
        lambda: backend.apply(rule, Version("1"), dry_run=False),
        lambda: backend.apply(rule, Absent(), dry_run=False),
        lambda: backend.apply(rule, Absent(), dry_run=False),
        lambda: backend.apply(rule, Version("1"), dry_run=False),
        lambda: backend.list(None, limit=10, cursor="nonsense"),
        lambda: backend.list(rule.ref.namespace, limit=10, cursor=None),
        lambda: backend.delete(rule.ref, Version("1"), dry_run=False),
        lambda: backend.delete(rule.ref, Anything(), dry_run=False),
        *(partial(backend.validate, evolve(rule, groups=bad.groups)) for bad in opened.subject.bad),
    ]
    for call in calls:
        try:
            witness.note("an answer", repr(await opened.within(call())))
        except CandyError as error:
            witness.note_error("an error", error)
