"""Behavior: the announcement, races, validation, cancels, an unreachable server, secrets."""

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
from candy_core.testing.executor.base import require
from candy_core.testing.executor.call import abandon, fail
from candy_core.testing.executor.log_capture import LogCapture, find_secrets
from candy_core.testing.rule_backend.base import Opened, SuiteBase, opening, racing
from candy_core.testing.rule_backend.subject import Subject

_LOOP_CYCLES = (*range(10), 20, 40)
"""Cycles of the event loop after which a call is canceled."""


class BehaviorSuite(SuiteBase):
    """How the backend behaves."""

    async def test_the_core_accepts_the_announcement(self, subject: Subject) -> None:
        """Checked as when the core loads the plugin. A canonical group must not change."""
        try:
            check_spec("candy_rule_backends", subject.spec)
            async with opening(subject) as opened:
                check_port("rule_backend", subject.spec, opened.backend)
        except PluginFault as fault:
            fail(f"The core would reject this plugin: {fault}")
        if subject.spec.group is not None:
            for group in subject.groups(1):
                canonical = to_json(params_reader.read(group, subject.spec.group), drop_none=True)
                if canonical != group:
                    fail(
                        "A group changes when it is read with the spec's class and written again:",
                        "fields without a value need the default None, and each key needs a field.",
                    )

    async def test_it_opens_without_settings_and_names_what_is_missing(self, subject: Subject) -> None:
        """Contract section 7: "a plugin without settings is ``active``"; §5: "503 ``backend_unavailable``"."""
        async with opening(subject, {}) as opened:
            with contextlib.suppress(NotFound, Retriable, NotConfigured):  # or it works without settings
                await opened.call(opened.backend.get(opened.rule().ref))

    async def test_of_racing_creates_one_succeeds(self, opened: Opened) -> None:
        """Lessons of server-side apply: six racing creates by one manager gave one 201 and five 200s."""
        for _ in range(3):
            rule = opened.rule()
            results = await opened.call(
                racing(
                    opened.subject.racers,
                    lambda index, rule=rule: opened.backend.apply(  # type: ignore[misc]
                        evolve(rule, groups=opened.subject.groups(index)), Absent(), dry_run=False
                    ),
                )
            )
            await _check_one_winner(opened, results, Exists, "racing apply(Absent)")

    async def test_of_racing_changes_of_one_version_one_succeeds(self, opened: Opened) -> None:
        """Contract section 5: no update is lost: "every apply with a resourceVersion"."""
        for _ in range(3):
            rule, stored = await opened.create(0)
            results = await opened.call(
                racing(
                    opened.subject.racers,
                    lambda index, rule=rule, stored=stored: opened.backend.apply(  # type: ignore[misc]
                        evolve(rule, groups=opened.subject.groups(1 + index)), Version(stored.version), dry_run=False
                    ),
                )
            )
            await _check_one_winner(opened, results, Stale, "racing apply(Version)")

    async def test_of_racing_deletes_one_succeeds(self, opened: Opened) -> None:
        rule, stored = await opened.create()
        results = await opened.call(
            racing(
                opened.subject.racers,
                lambda index: opened.backend.delete(rule.ref, Version(stored.version), dry_run=False),
            )
        )
        winners = [result for result in results if isinstance(result, StoredRule)]
        others = [result for result in results if not isinstance(result, StoredRule | NotFound | Stale)]
        if len(winners) != 1 or others:
            fail(f"Of {len(results)} racing deletes {len(winners)} succeeded; expected one, and NotFound or Stale.")
        await opened.check_absent(rule.ref, "after racing deletes")

    async def test_a_valid_rule_has_no_problems_and_is_not_written(self, opened: Opened) -> None:
        rule = opened.rule()
        if problems := await opened.call(opened.backend.validate(rule)):
            fail(f"validate finds problems in Subject.groups(1): {problems}")
        await opened.check_absent(rule.ref, "after validate")

    async def test_every_problem_is_found_at_its_path(self, opened: Opened) -> None:
        """Contract section 5: "each error names group, rule and field: ``$.groups[0].rules[1].expr``"."""
        require(opened.subject.bad, "bad", "list rules that the backend rejects, with the path of a problem")
        for bad in opened.subject.bad:
            rule = evolve(opened.rule(), groups=bad.groups)
            problems = await opened.call(opened.backend.validate(rule))
            if not all(isinstance(problem, Problem) and problem.message for problem in problems):
                fail("validate returned something other than problems with messages.")
            if bad.path not in [problem.path for problem in problems]:
                fail(f"validate finds no problem at {bad.path} of a bad rule; it returned {list(problems)}")
            await opened.check_absent(rule.ref, "after validate of a bad rule")

    async def test_a_canceled_call_leaves_nothing_of_it_running(self, opened: Opened) -> None:
        """In any state the object is complete or does not exist, and the next call works."""
        before = asyncio.all_tasks()
        for cycles in _LOOP_CYCLES:
            rule, stored = await opened.create(1)
            changed = evolve(rule, groups=opened.subject.groups(2))
            calls: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: opened.backend.get(rule.ref),  # noqa: B023  # called at once, below
                lambda: opened.backend.apply(changed, Version(stored.version), dry_run=False),  # noqa: B023  # the same
                lambda: opened.backend.delete(rule.ref, Anything(), dry_run=False),  # noqa: B023  # the same
            )
            for call in calls:
                await _cancelled(opened, call, cycles)
            with contextlib.suppress(NotFound):
                now = await opened.call(opened.backend.get(rule.ref))
                if now.rule.groups not in (rule.groups, changed.groups):
                    fail("After a canceled call the object has neither the old nor the new groups.")
        for _ in range(50):
            left = {task for task in asyncio.all_tasks() - before if not task.done()}
            if not left:
                return
            await asyncio.sleep(0.01)
        fail(f"After canceled calls {len(left)} task(s) still run: await what you start, in a TaskGroup.")

    async def test_an_unreachable_server_is_reported(self, subject: Subject) -> None:
        """Contract section 5: "a backend without its CRD or cluster is 503 ``backend_unavailable``"."""
        require(subject.unreachable, "unreachable", "give settings with which the server is unreachable")
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
                await opened.raises(Retriable, call(), f"{what} while the server is unreachable")

    async def test_no_secret_is_logged_or_returned(self, subject: Subject) -> None:
        """Contract section 1: no response and no log ever shows a secret."""
        require(subject.secrets, "secrets", "list every secret text within settings and credentials")
        log = LogCapture()
        with log.capture():
            for settings in (subject.settings, subject.unreachable):
                if settings is None:
                    continue
                log.add("the settings", repr(params_reader.read(settings, subject.spec.settings)))
                async with opening(subject, settings, log) as opened:
                    await _run_everything(opened)
                    if subject.spec.check is not None:
                        log.add("check()", repr(await subject.spec.check(opened.backend)))
        for where, text in log.texts:
            for number, how in find_secrets(text, subject.secrets):
                fail(
                    f"Subject.secrets[{number}] appears in {where}, {how}.",
                    "Keep it in a candy_core.Secret, and reveal() it only where it is sent.",
                )


async def _check_one_winner(opened: Opened, results: list[object], other: type[CandyError], what: str) -> None:
    winners = [result for result in results if isinstance(result, StoredRule)]
    wrong = [result for result in results if not isinstance(result, StoredRule | other)]
    if len(winners) != 1 or wrong:
        seen = sorted({type(result).__name__ for result in results})
        fail(
            f"Of {len(results)} calls of {what} {len(winners)} succeeded; expected one, and {other.__name__} for the",
            f"rest. They gave {', '.join(seen)}. Let the server compare the version in one step with the write.",
        )
    await opened.check_unchanged(winners[0], f"after {what}, with what the successful one wrote")


async def _cancelled(opened: Opened, call: Callable[[], Awaitable[object]], cycles: int) -> None:
    async def run() -> None:
        with contextlib.suppress(CandyError):
            await call()

    task = asyncio.create_task(run())
    for _ in range(cycles):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,), timeout=min(opened.subject.seconds, 5.0))  # as long as the core waits
    if not task.done():
        abandon(task)
        fail("A call did not end within 5 s after it was canceled: let the cancellation through.")
    if not task.cancelled() and (error := task.exception()) is not None:
        fail(f"A canceled call raised {type(error).__name__}: let the cancellation through.")


async def _run_everything(opened: Opened) -> None:
    """Make it return and raise everything that it can, and capture that."""
    backend, log = opened.backend, opened.log
    rule = opened.rule()
    log.add("the backend's repr", repr(backend))
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
            log.add("a result", repr(await opened.call(call())))
        except CandyError as error:
            log.add_error("an error", error)
