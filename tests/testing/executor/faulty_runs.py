"""Executors that open well and run their items badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import attrs
from attrs import field, frozen

from candy_core import Health, Item, ItemStatus, Json, Outcome, Reason, Run
from candy_core.testing.executor import Case, Oversized
from tests.testing.executor import faulty_calls as faulty
from tests.testing.executor.executors import TOKEN, SingleExecutor, failed, normal, opening, run_well, subject
from tests.testing.executor.expected_failures import HELLO, expect_failure, expect_failure_of
from tests.testing.executor.faulty_specs import check_with

# Outcomes

ORDINARY = "test_ordinary_items_end_as_expected"
verdicts: tuple[tuple[str, Any, str], ...] = (
    ("raises", faulty.raises(OSError("no route")), "raised OSError instead of giving an outcome:\n(.|\n)*no route"),
    ("exits", faulty.raises(SystemExit(3)), "raised SystemExit"),
    ("cancels itself", faulty.raises(asyncio.CancelledError()), "raised CancelledError"),
    ("text", faulty.gives("hello"), "gave str where an Outcome was expected"),
    ("nothing", faulty.gives(None), "gave NoneType where an Outcome was expected|got no outcome"),
    (
        "another value",
        faulty.gives(normal("bye")),
        "must end with the value 'hello' and ended as\nnormal/ok, value 'bye'",
    ),
    ("another reason", faulty.gives(failed("timeout")), "must end with the reason 'ok'"),
    ("an unknown reason", faulty.gives(failed("oops")), "'oops', which is not in the contract(.|\n)*echo_"),
    ("no message", faulty.gives(failed("timeout", "")), "is failed \\(timeout\\) and has no message"),
    ("half a character", faulty.gives(normal("\ud800")), "cannot be written as JSON in UTF-8"),
    (
        "no JSON",
        faulty.gives(attrs.evolve(normal("hello"), stats={"of": cast("Json", object())})),
        "cannot be written as JSON",
    ),
)
for kind, function, says in verdicts:
    expect_failure(ORDINARY, says, kind, run_item=faulty.when("say", function))
expect_failure(
    ORDINARY,
    "had not ended at its deadline",
    "no end",
    run_item=faulty.when("say", faulty.never_ends_politely),
    end_within=0.2,
)
expect_failure(
    ORDINARY,
    "Put one that works into Subject.ordinary",
    "failed",
    ordinary=[Case(params={"do": "fail"}, reason="unreachable")],
)
FAILURES = "test_expected_failures_are_results"
expect_failure(
    FAILURES, "raised OSError instead", "raises", run_item=faulty.when("fail", faulty.raises(OSError("no route")))
)
expect_failure(
    FAILURES,
    "reason 'unreachable' and ended as",
    "another reason",
    run_item=faulty.when("fail", faulty.gives(failed("timeout"))),
)
expect_failure(
    FAILURES,
    "cannot succeed, but is warning",
    "healthy",
    run_item=faulty.when(
        "fail", faulty.gives(Outcome(status=ItemStatus.WARNING, reason=Reason.UNREACHABLE, message="it does not work"))
    ),
)
expect_failure(
    FAILURES,
    "match 'does not work'",
    "another message",
    run_item=faulty.when("fail", faulty.gives(failed("unreachable", "oh no"))),
)
expect_failure_of(
    FAILURES, "it does not work any more", lambda: subject(run_item=faulty.breaks_at_a_failure()), "breaks"
)
expect_failure(
    "test_failed_items_leave_nothing_behind",
    "that failed, this was left behind:\n  descriptor",
    run_item=faulty.when("fail", faulty.leaves_a_socket_and_fails),
)

# Many items


class Batching(SingleExecutor):
    """Yields outcomes under the indexes that ``indexes`` returns."""

    indexes: Callable[[Sequence[int]], Sequence[int]]

    async def run_batch(self, items: Sequence[Item[Any]], run: Run) -> AsyncIterator[tuple[int, Outcome]]:
        found = self.indexes([item.index for item in items])
        for index, item in zip(found, items, strict=False):
            yield index, normal(item.params.text)


def batching(indexes: Callable[[Sequence[int]], Sequence[int]]) -> Any:
    return opening(type("Batching", (Batching,), {"indexes": staticmethod(indexes)}), run_well)


MANY = "test_many_items_at_once_each_get_their_own_outcome"
expect_failure_of(MANY, "must end with the value 'value 0'", lambda: subject(run_item=faulty.keeps_the_last()))
expect_failure(MANY, "each number a Case with a unique `value`", "one value", numbered=lambda number: HELLO[0])
BATCH = "test_each_index_of_a_batch_has_exactly_one_outcome"
expect_failure(BATCH, "left out \\[\\d+", "left out", batch=True, open_=batching(lambda given: given[:-1] or given))
expect_failure(
    BATCH, "yielded \\[\\d+\\] more than", "twice", batch=True, open_=batching(lambda given: [given[0], *given[:-1]])
)
expect_failure(BATCH, "and \\[0, 1", "batch indexes", batch=True, open_=batching(lambda given: range(len(given))))
expect_failure(BATCH, "must end with the value", "mixed up", batch=True, open_=batching(lambda given: given[::-1]))
HANGS = "test_an_item_that_hangs_does_not_delay_the_others"
expect_failure_of(HANGS, "waits for one that hangs", lambda: subject(run_item=faulty.takes_turns(), end_within=1.0))
expect_failure(
    HANGS, "ended while the others ran", "no end", run_item=faulty.when("wait", faulty.gives(failed("timeout")))
)

# Deadlines and cancels

TIMEOUT = "test_a_timeout_is_respected"
expect_failure(
    TIMEOUT,
    r"ended 0.5. s after its deadline; 0.2 s",
    "late",
    run_item=faulty.when("wait", faulty.ends_late),
    stop_within=0.2,
)
expect_failure(
    TIMEOUT, "was still running after 0.5 s", "never", run_item=faulty.when("wait", faulty.never_ends), stop_within=0.1
)
expect_failure(
    TIMEOUT,
    "ended by itself after 0.0. s as normal/ok",
    "a verdict",
    run_item=faulty.when("wait", faulty.gives(normal("1"))),
)
CANCEL = "test_a_cancel_ends_an_item_and_leaves_nothing_behind"
endings: tuple[tuple[str, Any, str], ...] = (
    ("late", faulty.ends_late, r"ended 0.5. s after its cancel"),
    ("raises", faulty.raises_when_cancelled, "raised RuntimeError\\('torn down'\\) when it was canceled"),
    ("ends by itself", faulty.gives(failed("timeout")), "ended by itself within 0.4 s"),
    ("a process", faulty.leaves_a_process, "process: \\d+ .*time.sleep\\(30\\)(.|\n)*kill what an item started"),
    ("a process in its own session", faulty.leaves_a_daemon, "process: \\d+ .*time.sleep\\(30\\)"),
    ("a busy thread", faulty.leaves_a_busy_worker, "still busy for asyncio.to_thread"),
    ("a file", faulty.leaves_a_file_and_waits, "file: .*/left-alone-"),
    (
        "more and more sockets",
        faulty.leaves_a_socket_and_waits,
        "three more times, this was left behind:\n  descriptor",
    ),
    ("more and more tasks", faulty.leaves_a_task_and_waits, "three more times, this was left behind:\n  task"),
)
for kind, function, says in endings:
    expect_failure(CANCEL, says, kind, run_item=faulty.when("wait", function), stop_within=0.3)
MOMENT = "test_a_cancel_at_any_moment_leaves_nothing_behind"
expect_failure(
    MOMENT,
    "[1-5] loop cycles from its start, this was left behind:\n  process",
    run_item=faulty.when("wait", faulty.starts_a_process_and_remembers_it_late),
)
expect_failure_of(
    "test_many_items_that_are_canceled_together_all_end",
    r"ended 0.[3-9]. s after its cancel",
    lambda: subject(run_item=faulty.cleans_up_in_turn(), stop_within=0.25),
)

# Oversized output

OVERSIZED = "test_oversized_output_stays_within_its_limit_and_is_reported"
expect_failure(
    OVERSIZED, "the process grew by \\d+ MiB", "memory", run_item=faulty.when("oversized", faulty.reads_it_all)
)
expect_failure(
    OVERSIZED,
    "bytes as JSON; 196608 are allowed",
    "the outcome",
    run_item=faulty.when("oversized", faulty.returns_it_all),
)
expect_failure(
    OVERSIZED,
    "must end with the reason 'too_large'",
    "healthy",
    run_item=faulty.when("oversized", faulty.gives(normal("xx"))),
)
expect_failure(
    OVERSIZED,
    "match 'cut at'",
    "another message",
    run_item=faulty.when("oversized", faulty.gives(failed("too_large", "oh no"))),
)
expect_failure(
    OVERSIZED,
    "after the oversized item .* this was left behind:\n  process",
    "left",
    run_item=faulty.when("oversized", faulty.leaves_a_process_and_fails),
)
expect_failure(
    OVERSIZED,
    "had not ended after 0.3 s; it must end by itself",
    "no end",
    run_item=faulty.when("oversized", faulty.goes_on_reading),
    oversized=[Oversized(params={"do": "oversized"}, reason=Reason.TOO_LARGE, seconds=0.3)],
)

# The event loop

CALLS = "test_no_call_blocks"
expect_failure(
    CALLS,
    "time.sleep at .*faulty_calls.py:\\d+ in sleeps",
    "sleeps",
    run_item=faulty.when("fail", faulty.sleeps_and_fails),
)
expect_failure(
    CALLS, "time.sleep at .*faulty_calls.py:\\d+ in", "hidden", run_item=faulty.when("say", faulty.sleeps_and_hides_it)
)
expect_failure(
    CALLS,
    "read at .*faulty_calls.py:\\d+ in reads_a_file",
    "a file",
    run_item=faulty.when("say", faulty.reads_a_file_and_hides_it),
)
expect_failure(
    "test_the_event_loop_is_never_blocked",
    "was blocked for \\d\\.\\d\\d s, at .*faulty_calls.py:\\d+ in computes",
    run_item=faulty.when("say", faulty.computes),
    numbered=None,
)

# Secrets


@frozen(kw_only=True)
class OpenParams:
    do: str = "say"
    text: str = ""
    token: str = ""


@frozen(kw_only=True)
class HalfHiddenParams:
    do: str = "say"
    text: str = ""
    token: str = field(default="", repr=False)


@frozen
class Url:
    text: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Url:
        if not text.startswith("http"):
            raise ValueError(f"{text} is not an address")
        return cls(text)

    def __str__(self) -> str:
        return "http://…"


@frozen(kw_only=True)
class UrlParams:
    do: str = "say"
    text: str = ""
    token: Url | None = None


class Talkative(SingleExecutor):
    def __repr__(self) -> str:
        return f"Talkative({self.settings.token and self.settings.token.reveal()})"


NO_LEAK = "test_no_secret_is_logged_or_returned"
for kind, (how, says) in faulty.LEAKS.items():
    expect_failure(NO_LEAK, says, kind, run_item=faulty.leaks(how))
expect_failure(NO_LEAK, "appears in the repr of the params", "a repr", params=OpenParams)
expect_failure(NO_LEAK, "appears in the params as JSON", "JSON", params=HalfHiddenParams)
expect_failure(
    NO_LEAK, "appears in an outcome's repr", "an outcome", run_item=faulty.when("fail", faulty.leaks_in_its_message)
)
expect_failure(
    NO_LEAK, "appears in an exception", "an exception", run_item=faulty.when("fail", faulty.raises(ValueError(TOKEN)))
)
expect_failure(
    NO_LEAK, r"appears in check\(\)", "a check", check=check_with(Health(ok=False, detail=f"{TOKEN} refused"))
)
expect_failure(NO_LEAK, "appears in the executor's repr", "the executor", open_=opening(Talkative, run_well))
expect_failure(NO_LEAK, "is shorter than 6 characters", "a short one", secrets=["hunt"])
expect_failure(NO_LEAK, "is neither in the settings nor", "one that is nowhere", secrets=["hunter3-hunter3"])
expect_failure(
    "test_an_error_does_not_repeat_a_secret",
    "repeated \\(as it is\\) in the error about params 'token'",
    params=UrlParams,
    ordinary=[Case(params={"token": f"http://{TOKEN}"})],
    endless=(),
)
GIVEN = "test_no_child_process_gets_a_secret"
expect_failure(
    GIVEN,
    "in the command line of a process",
    "argv",
    run_item=faulty.when("wait", faulty.leaks_in_its_process_arguments),
)
expect_failure(
    GIVEN,
    "in the environment of a process",
    "env",
    run_item=faulty.when("wait", faulty.leaks_in_its_process_environment),
)
