"""Executors that announce themselves wrongly, or that open and close badly."""

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
from tests.testing.executor import bad_asks as bad
from tests.testing.executor.bad_list import HELLO, is_found, is_found_in
from tests.testing.executor.executors import One, Settings, ask_well, failed, normal, opening, subject

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


ACCEPTED = "test_the_announcement_is_one_that_the_core_accepts"
is_found(ACCEPTED, "does not match", "a name", name="Echo!")
is_found(ACCEPTED, "is the core's own", "a reserved name", plugin="server")
is_found(ACCEPTED, "more than once: name it once", "an alias twice", aliases=("e", "e"))
is_found(ACCEPTED, "max_batch is 5 without a batch_key", "a batch without a key", max_batch=5)
is_found_in(
    ACCEPTED,
    "has no default for url",
    lambda: attrs.evolve(subject(), spec=attrs.evolve(subject().spec, settings=Required)),
    "a setting without a default",
)
METHODS = "test_what_is_opened_has_the_methods_of_its_port"
is_found(METHODS, "without the method run", open_=opening(lambda *_: object(), ask_well))
is_found(METHODS, "without the method run_batch", "no run_batch", open_=opening(One, ask_well), batch=True)
PARAMS = "test_params_that_were_written_can_be_read_again"
LEVEL = [Case(params={"level": "7"})]
is_found(
    PARAMS, "cannot be read as WithLevel:\n  \\$.level", "a str that parse refuses", params=WithLevel, ordinary=LEVEL
)
is_found(PARAMS, "are not the same", "a str that loses", params=WithForgetful, ordinary=LEVEL)
is_found(PARAMS, "cannot be written as JSON", "a set", params=NoJson, ordinary=HELLO)
is_found_in(
    "test_settings_that_were_written_can_be_read_again",
    "are not the same",
    lambda: attrs.evolve(subject(settings={"level": "7"}), spec=attrs.evolve(subject().spec, settings=WithForgetful)),
)
is_found(
    "test_params_may_come_as_strings",
    "are read as something else where every value is a string",
    params=AnyText,
    ordinary=[Case(params={"text": 7})],
)
is_found("test_params_and_settings_are_frozen", "Loose.text can be set: decorate", params=Loose, ordinary=HELLO)
SCOPES = "test_scopes_are_pure"


def alternating() -> Callable[[object], frozenset[str]]:
    answers = itertools.cycle((frozenset({"tasks:read"}), frozenset[str]()))
    return lambda params: next(answers)


def rewriting(params: Any) -> frozenset[str]:
    object.__setattr__(params, "text", f"{params.text}!")
    return frozenset()


is_found(SCOPES, "expected a frozenset of strings", "a list", scopes=lambda params: ["tasks:command"])
is_found(SCOPES, "which no key can hold", "an unknown one", scopes=lambda params: frozenset({"tasks:comand"}))
is_found_in(
    SCOPES,
    "for the same params",
    lambda: subject(scopes=alternating()),
    "not the same twice",
)
is_found(
    SCOPES,
    r"scopes\(\) blocked the event loop.*\n  io.TextIOWrapper.read at .*test_bad_ones",
    "a file read",
    scopes=lambda params: frozenset() if Path(__file__).read_text() else frozenset({"tasks:read"}),
)
is_found(
    SCOPES,
    "changed the params",
    "params changed",
    scopes=rewriting,
)
KEY = "test_the_keys_of_a_batch_are_pure_and_hashable"
is_found(KEY, "cannot be hashed", "a list", batch=True, batch_key=lambda params: [params.do])
is_found(KEY, "compare by value", "an object", batch=True, batch_key=lambda params: object())
is_found(KEY, "dedup_key.* cannot be hashed", "a question", batch=True, dedup_key=lambda params: [params.do])
is_found(KEY, r"concurrency_key\(\) gave.*\n.*compare by value", "a share", concurrency_key=lambda params: object())

# Opening and closing


@asynccontextmanager
async def open_with_a_greeting(context: PluginContext, settings: Settings) -> AsyncIterator[One]:
    if not settings.greeting:
        raise ValueError("greeting is needed")
    yield One(ask_well, context, settings)


def open_and(do: Callable[[], object], *, held: bool = False) -> Any:
    """Does something when it opens; ``held``: and waits then, as for a connection."""

    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[One]:
        found = do()
        if inspect.isawaitable(found):
            await found
        if held:
            await asyncio.sleep(0.01)
        yield One(ask_well, context, settings)

    return open_


def close_and(do: Callable[[], Any]) -> Any:
    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[One]:
        try:
            yield One(ask_well, context, settings)
        finally:
            await do()

    return open_


async def _raise() -> None:
    raise RuntimeError("already closed")


def one_for_all() -> Subject:
    """What is opened is shared, and whoever closes first closes it for everybody."""
    shared: dict[str, bool] = {}

    async def ask(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        return normal(item.params.text) if shared["open"] else failed(Reason.UNREACHABLE, "closed")

    @asynccontextmanager
    async def open_(context: PluginContext, settings: Settings) -> AsyncIterator[One]:
        shared["open"] = True
        yield One(ask, context, settings)
        shared["open"] = False

    return subject(open_=open_)


WITHOUT = "test_it_opens_without_settings_and_its_items_have_outcomes"
is_found(WITHOUT, "greeting is needed", "open", open_=open_with_a_greeting)
is_found(
    WITHOUT,
    r"raised AttributeError instead of giving an outcome",
    "run",
    ask=lambda item, run, context, settings: settings.token.nothing,
)
REOPEN = "test_open_close_and_reopen_leave_nothing_behind"
is_found(REOPEN, r"descriptor: \d+ a (tcp )?socket", "a socket", open_=open_and(bad.leaves_a_socket))
is_found(REOPEN, r"task: Task-\d+ running sleep", "a task", open_=open_and(bad.leaves_a_task))
is_found(REOPEN, "thread: left-alone at", "a thread", open_=open_and(bad.leaves_a_thread))
is_found(REOPEN, "file: .*/left-alone-", "a file", open_=open_and(bad.leaves_a_file))
is_found(REOPEN, "a zombie: nobody waited for it", "a zombie", ask=bad.when("say", bad.leaves_a_zombie))
is_found(
    REOPEN,
    "the event loop: Task exception was never retrieved",
    "a complaint",
    ask=bad.when("say", bad.forgets_an_error),
)
OPENING = "test_a_cancel_while_it_opens_leaves_nothing_behind"
is_found(OPENING, r"turns of the loop into open\(\), this was left", open_=open_and(bad.leaves_a_socket, held=True))
is_found(
    OPENING,
    r"open\(\) went on for 0.3 s after it was cancelled",
    "hangs",
    open_=open_and(bad.never_ends),
    close_within=0.3,
)
CLOSE = "test_a_close_while_a_call_is_under_way_ends_cleanly"
is_found(CLOSE, "closing took more than 0.3 s", "hangs", open_=close_and(lambda: asyncio.sleep(9)), close_within=0.3)
is_found(CLOSE, "closing raised RuntimeError", "raises", open_=close_and(_raise))
is_found(CLOSE, "ended 0.5. s after its cancel", "late", ask=bad.when("wait", bad.ends_late), stop_within=0.2)
is_found(CLOSE, "under way, and its cancel, this was left", "a process", ask=bad.when("wait", bad.leaves_a_process))
is_found_in("test_two_that_are_open_side_by_side_do_not_disturb_each_other", "reason 'ok' and ended as", one_for_all)


def check_that(gives: object) -> Any:
    async def check(executor: object) -> Any:
        if isinstance(gives, Exception):
            raise gives
        return gives

    return check


async def leaky_check(executor: object) -> Health:
    await bad.leaves_a_socket()
    return Health(ok=True)


CHECK = "test_its_check_says_how_it_is"
is_found(CHECK, "check\\(\\) raised OSError", "raises", check=check_that(OSError("no route")))
is_found(CHECK, "gave bool; expected candy_core.Health", "a bool", check=check_that(gives=True))
is_found(CHECK, "without a detail", "no detail", check=check_that(Health(ok=False)))
is_found(CHECK, "after check\\(\\) and the end of open\\(\\), this was left", "leaves", check=leaky_check)
