"""Executors with a faulty Spec, or that open and close badly."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field, frozen

from candy_core import Health, Item, Json, Outcome, PluginContext, Reason, Run, Secret
from candy_core.testing.executor import Case, Subject
from tests.testing.executor import faulty_calls as faulty
from tests.testing.executor.executors import Settings, SingleExecutor, failed, normal, opening, run_well, subject
from tests.testing.executor.expected_failures import HELLO, expect_failure, expect_failure_of

# The announcement


@frozen(kw_only=True)
class Required:
    url: str


@define(kw_only=True)
class Loose:
    text: str = ""


@frozen
class Level:
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Level:
        return cls(int(text))


@frozen
class Forgetful(Level):
    def __str__(self) -> str:
        return "0"


@frozen(kw_only=True)
class WithLevel:
    level: Level = Level()


@frozen(kw_only=True)
class WithForgetful:
    level: Forgetful = Forgetful()
    greeting: str = ""
    token: Secret | None = None


@frozen(kw_only=True)
class NoJson:
    text: str = field(default="", converter=frozenset)


@frozen(kw_only=True)
class AnyText:
    text: Json = ""


ACCEPTED = "test_the_core_accepts_the_announcement"
expect_failure(ACCEPTED, "does not match", "a name", name="Echo!")
expect_failure(ACCEPTED, "is the core's own", "a reserved name", plugin="server")
expect_failure(ACCEPTED, "more than once: name it once", "an alias twice", aliases=("e", "e"))
expect_failure(ACCEPTED, "max_batch is 5 without a batch_key", "a batch without a key", max_batch=5)
expect_failure_of(
    ACCEPTED,
    "has no default for url",
    lambda: attrs.evolve(subject(), spec=attrs.evolve(subject().spec, settings=Required)),
    "a setting without a default",
)
METHODS = "test_the_executor_has_the_methods_of_the_port"
expect_failure(METHODS, "without the method run", open_=opening(lambda *_: object(), run_well))
expect_failure(
    METHODS, "without the method run_batch", "no run_batch", open_=opening(SingleExecutor, run_well), batch=True
)
PARAMS = "test_params_survive_a_round_trip"
LEVEL = [Case(params={"level": "7"})]
expect_failure(
    PARAMS, "cannot be read as WithLevel:\n  \\$.level", "a str that parse refuses", params=WithLevel, ordinary=LEVEL
)
expect_failure(PARAMS, "are not the same", "a str that loses", params=WithForgetful, ordinary=LEVEL)
expect_failure(PARAMS, "cannot be written as JSON", "a set", params=NoJson, ordinary=HELLO)
expect_failure_of(
    "test_settings_survive_a_round_trip",
    "are not the same",
    lambda: attrs.evolve(subject(settings={"level": "7"}), spec=attrs.evolve(subject().spec, settings=WithForgetful)),
)
expect_failure(
    "test_params_may_come_as_strings",
    "are read as something else if every value is a string",
    params=AnyText,
    ordinary=[Case(params={"text": 7})],
)
expect_failure("test_params_and_settings_are_frozen", "Loose.text can be set: decorate", params=Loose, ordinary=HELLO)
SCOPES = "test_scopes_are_pure"


def alternating() -> Callable[[object], frozenset[str]]:
    results = itertools.cycle((frozenset({"tasks:read"}), frozenset[str]()))
    return lambda params: next(results)


def rewriting(params: Any) -> frozenset[str]:
    object.__setattr__(params, "text", f"{params.text}!")
    return frozenset()


expect_failure(SCOPES, "expected a frozenset of strings", "a list", scopes=lambda params: ["tasks:command"])
expect_failure(SCOPES, "which no key can hold", "an unknown one", scopes=lambda params: frozenset({"tasks:comand"}))
expect_failure_of(
    SCOPES,
    "for the same params",
    lambda: subject(scopes=alternating()),
    "not the same twice",
)
expect_failure(
    SCOPES,
    r"scopes\(\) blocked the event loop.*\n  io.TextIOWrapper.read at .*test_faulty_executors",
    "a file read",
    scopes=lambda params: frozenset() if Path(__file__).read_text() else frozenset({"tasks:read"}),
)
expect_failure(
    SCOPES,
    "changed the params",
    "params changed",
    scopes=rewriting,
)
KEY = "test_batch_keys_are_pure_and_hashable"
expect_failure(KEY, "cannot be hashed", "a list", batch=True, batch_key=lambda params: [params.do])
expect_failure(KEY, "compare by value", "an object", batch=True, batch_key=lambda params: object())
expect_failure(KEY, "dedup_key.* cannot be hashed", "a dedup key", batch=True, dedup_key=lambda params: [params.do])
expect_failure(
    KEY, r"concurrency_key\(\) gave.*\n.*compare by value", "a concurrency key", concurrency_key=lambda params: object()
)

# Opening and closing


@asynccontextmanager
async def open_with_a_greeting(context: PluginContext, settings: Settings) -> AsyncIterator[SingleExecutor]:
    if not settings.greeting:
        raise ValueError("greeting is required")
    yield SingleExecutor(run_well, context, settings)


def open_and(do: Callable[[], object], *, wait: bool = False) -> Any:
    """Does something when it opens, and with ``wait`` then waits as for a connection."""

    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[SingleExecutor]:
        found = do()
        if inspect.isawaitable(found):
            await found
        if wait:
            await asyncio.sleep(0.01)
        yield SingleExecutor(run_well, context, settings)

    return open_


def close_and(do: Callable[[], Any]) -> Any:
    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[SingleExecutor]:
        try:
            yield SingleExecutor(run_well, context, settings)
        finally:
            await do()

    return open_


async def _raise() -> None:
    raise RuntimeError("already closed")


def shared_state() -> Subject:
    """All openings share one state, and the first close closes it for the others."""
    shared: dict[str, bool] = {}

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        return normal(item.params.text) if shared["open"] else failed(Reason.UNREACHABLE, "closed")

    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[SingleExecutor]:
        shared["open"] = True
        yield SingleExecutor(run_item, context, settings)
        shared["open"] = False

    return subject(open_=open_)


WITHOUT = "test_it_opens_without_settings_and_its_items_have_outcomes"
expect_failure(WITHOUT, "greeting is required", "open", open_=open_with_a_greeting)
expect_failure(
    WITHOUT,
    r"raised AttributeError instead of giving an outcome",
    "run",
    run_item=lambda item, run, context, settings: settings.token.nothing,
)
REOPEN = "test_open_close_and_reopen_leave_nothing_behind"
expect_failure(REOPEN, r"descriptor: \d+ a (tcp )?socket", "a socket", open_=open_and(faulty.leaves_a_socket))
expect_failure(REOPEN, r"task: Task-\d+ running sleep", "a task", open_=open_and(faulty.leaves_a_task))
expect_failure(REOPEN, "thread: left-alone at", "a thread", open_=open_and(faulty.leaves_a_thread))
expect_failure(REOPEN, "file: .*/left-alone-", "a file", open_=open_and(faulty.leaves_a_file))
expect_failure(
    REOPEN, "a zombie: it was never waited for", "a zombie", run_item=faulty.when("say", faulty.leaves_a_zombie)
)
expect_failure(
    REOPEN,
    "the event loop: Task exception was never retrieved",
    "a warning",
    run_item=faulty.when("say", faulty.forgets_an_error),
)
OPENING = "test_a_cancel_while_it_opens_leaves_nothing_behind"
expect_failure(
    OPENING, r"cycles of the loop into open\(\), this was left", open_=open_and(faulty.leaves_a_socket, wait=True)
)
expect_failure(
    OPENING,
    r"open\(\) went on for 0.3 s after it was canceled",
    "hangs",
    open_=open_and(faulty.never_ends),
    close_within=0.3,
)
CLOSE = "test_a_close_while_a_call_is_running_ends_cleanly"
expect_failure(
    CLOSE, "closing took more than 0.3 s", "hangs", open_=close_and(lambda: asyncio.sleep(9)), close_within=0.3
)
expect_failure(CLOSE, "closing raised RuntimeError", "raises", open_=close_and(_raise))
expect_failure(
    CLOSE, "ended 0.5. s after its cancel", "late", run_item=faulty.when("wait", faulty.ends_late), stop_within=0.2
)
expect_failure(
    CLOSE, "running, and its cancel, this was left", "a process", run_item=faulty.when("wait", faulty.leaves_a_process)
)
expect_failure_of("test_two_open_executors_do_not_affect_each_other", "reason 'ok' and ended as", shared_state)


def check_with(result: object) -> Any:
    async def check(executor: object) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return check


async def leaky_check(executor: object) -> Health:
    await faulty.leaves_a_socket()
    return Health(ok=True)


CHECK = "test_the_check_reports_health"
expect_failure(CHECK, "check\\(\\) raised OSError", "raises", check=check_with(OSError("no route")))
expect_failure(CHECK, "gave bool; expected candy_core.Health", "a bool", check=check_with(result=True))
expect_failure(CHECK, "without a detail", "no detail", check=check_with(Health(ok=False)))
expect_failure(CHECK, "after check\\(\\) and the end of open\\(\\), this was left", "leaves", check=leaky_check)
