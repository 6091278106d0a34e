"""Holding plugins open: what hangs, dies or is set up wrongly costs that plugin, and it comes back."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from attrs import evolve
from structlog.testing import LogCapture

from candy_core import BackendUnavailable
from candy_core.config import load_configuration
from candy_core.hosting import Hosted, HostedState, PluginDown, PluginHost, Timing
from candy_core.ports.context import Logger
from candy_core.registry import PluginState, discover
from candy_testbed import eventually

from .stage import GOOD, QUICK, Stage, plugin, record


@pytest.fixture
def stage(shelf: Any, logger: Logger, captured: LogCapture, context: Any) -> Stage:
    return Stage(shelf, logger, captured, context)


async def test_a_plugin_is_opened_once_for_all_its_spellings_and_closed_in_the_end(shelf: Any, stage: Stage) -> None:
    package = shelf.install(
        "hello",
        plugin("""
        events = []
        @asynccontextmanager
        async def open_it(context, settings):
            events.append((context.plugin, settings.port))
            yield Greeter()
            events.append("closed")
        """),
    )
    async with stage.running(environ={"CANDY_HELLO_PORT": "8080"}) as host:
        hosted = host.executors["hello"]
        assert host.executors["hi"] is hosted
        assert (hosted.plugin, hosted.name, hosted.kind) == ("hello", "hello", "executor")
        assert hosted.state is HostedState.ACTIVE
        assert callable((await hosted.port()).run)  # type: ignore[union-attr]  # it announced no batches
        assert host.checks() == {"plugin:hello": "ok"}
        assert stage.state("hello") == "active"
    assert sys.modules[package].events == [("hello", 8080), "closed"]
    with pytest.raises(PluginDown, match="the agent is stopping"):
        await hosted.port()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def open_it(c, s):\n    raise ValueError('no')", "ValueError: no"),
        ("@asynccontextmanager\nasync def open_it(c, s):\n    raise SystemExit(3)\n    yield", "SystemExit: 3"),
        (
            "@asynccontextmanager\nasync def open_it(c, s):\n    raise BaseException('odd')\n    yield",
            "BaseException: odd",
        ),
        (
            "@asynccontextmanager\nasync def open_it(c, s):\n    asyncio.current_task().cancel()\n"
            "    await asyncio.sleep(9)\n    yield Greeter()",
            "CancelledError",
        ),
        ("@asynccontextmanager\nasync def open_it(c, s):\n    return\n    yield", "generator didn't yield"),
        ("@asynccontextmanager\nasync def open_it(c, s):\n    yield", "open yielded None without the method run"),
        ("@asynccontextmanager\nasync def open_it(c, s):\n    yield Teller()", "a Teller without the method run"),
        ("async def open_it(c, s):\n    return Greeter()", "open gave a coroutine; expected an async context manager"),
        ("def open_it(c, s):\n    return Greeter()", "open gave a Greeter; expected an async context manager"),
        (
            "def open_it(c, s):\n    raise ConnectionError('postgres://u:hunter2@db')",
            "ConnectionError: postgres://u:******@db",
        ),
    ],
)
async def test_a_plugin_that_cannot_be_opened_fails_alone(shelf: Any, stage: Stage, body: str, told: str) -> None:
    shelf.install("bad", plugin(body))
    shelf.install("good", GOOD)
    async with stage.running(environ={"CANDY_BAD_TOKEN": "hunter2"}, required=["good", "bad", "lost"]) as host:
        await eventually(lambda: told in str(record(host, "bad").error))
        assert record(host, "bad").state is PluginState.FAILED
        assert record(host, "bad").error.startswith("executor:hello: ")
        assert host.executors["good"].state is HostedState.ACTIVE
        assert host.checks() == {"plugin:bad": "failed", "plugin:good": "ok", "plugin:lost": "missing"}
        assert host.required_down() == ("bad", "lost")
        assert stage.state("bad") == "failed"
        with pytest.raises(PluginDown) as caught:
            await host.executors["hi"].port()
        assert isinstance(caught.value, BackendUnavailable)
        assert caught.value.code == "backend_unavailable"
        assert "executor 'hello' of plugin 'bad' is down" in str(caught.value)
    assert "hunter2" not in stage.logged()


async def test_a_plugin_that_hangs_in_open_fails_and_the_agent_lives(shelf: Any, stage: Stage) -> None:
    shelf.install(
        "slow",
        plugin("@asynccontextmanager\nasync def open_it(c, s):\n    await asyncio.sleep(1000)\n    yield Greeter()"),
    )
    shelf.install("good", GOOD)
    async with stage.running(open_timeout=0.5) as host:  # it is there, which "slow" alone would be in 1000 s
        assert record(host, "slow").error == "executor:hello: did not open within 0.5 s"
        await eventually(lambda: host.executors["good"].state is HostedState.ACTIVE)
    assert stage.abandoned("slow") == 0


async def test_an_open_that_ignores_its_cancellation_is_abandoned_once(shelf: Any, stage: Stage) -> None:
    shelf.install(
        "deaf",
        plugin("""
        released = asyncio.Event()
        opened = 0
        @asynccontextmanager
        async def open_it(context, settings):
            global opened
            opened += 1
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    pass
            if opened == 2:
                look()
            yield Greeter()
        """),
    )
    seen: list[HostedState] = []
    async with stage.running(open_timeout=1.0, timing=evolve(QUICK, cancel=0.1)) as host:
        sys.modules["shelf_deaf"].look = lambda: seen.append(host.executors["hello"].state)
        await eventually(lambda: stage.abandoned("deaf") == 1)
        assert "plugin_abandoned" in stage.logged()
        await asyncio.sleep(0.1)  # several backoffs: none may start a second opening beside the first
        assert sys.modules["shelf_deaf"].opened == 1
        sys.modules["shelf_deaf"].released.set()
        await eventually(lambda: stage.state("deaf") == "active")
        assert seen == [HostedState.FAILED], "what came too late is not used"
        assert sys.modules["shelf_deaf"].opened == 2
    assert stage.abandoned("deaf") == 1


DYING = """
alive = []
@asynccontextmanager
async def open_it(context, settings):
    async with asyncio.TaskGroup() as group:
        fail = asyncio.Event()
        async def work():
            await fail.wait()
            raise OSError("the watch broke")
        group.create_task(work())
        alive.append(fail)
        yield Greeter()
"""


async def test_a_plugin_whose_background_work_fails_comes_back_and_takes_nobody_with_it(
    shelf: Any, stage: Stage
) -> None:
    shelf.install("dying", plugin(DYING))
    shelf.install("good", GOOD)
    delays: list[float] = []
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await gate.wait()

    timing = Timing(backoff=lambda failures: 10.0 * failures, sleep=sleep)
    async with stage.running(timing=timing) as host:
        hosted = host.executors["hello"]
        first = await hosted.port()
        sys.modules["shelf_dying"].alive[0].set()
        await eventually(lambda: delays)
        assert hosted.state is HostedState.FAILED
        assert "OSError: the watch broke" in str(hosted.error)
        assert host.checks()["plugin:dying"] == "failed"
        assert stage.state("dying") == "failed"
        with pytest.raises(PluginDown) as caught:
            await hosted.port()
        assert 5 < caught.value.retry_after <= 10
        gate.set()
        await eventually(lambda: record(host, "dying").error is None)
        assert await hosted.port() is not first
        assert record(host, "dying").error is None
        assert stage.state("dying") == "active"
        assert delays == [10.0]
        sys.modules["shelf_dying"].alive[1].set()
        await eventually(lambda: len(delays) == 2)
        assert delays == [10.0, 20.0]
        assert host.executors["good"].state is HostedState.ACTIVE


async def test_what_has_worked_for_long_is_tried_again_soon(shelf: Any, stage: Stage) -> None:
    shelf.install("dying", plugin(DYING))
    now = 0.0
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await asyncio.sleep(0)

    timing = Timing(backoff=lambda failures: float(failures), sleep=sleep, clock=lambda: now, stable=60)
    async with stage.running(timing=timing) as host:
        hosted = host.executors["hello"]
        for nth, lived in enumerate((0.0, 59.0, 61.0)):
            await eventually(lambda: hosted.state is HostedState.ACTIVE)
            now += lived
            sys.modules["shelf_dying"].alive[nth].set()
            await eventually(lambda nth=nth: len(delays) == nth + 1)  # type: ignore[misc]  # a lambda's default
    assert delays == [1.0, 2.0, 1.0]


async def test_wrong_settings_fail_the_plugin_with_the_reason_and_are_not_tried_again(shelf: Any, stage: Stage) -> None:
    """Contract §7: 'a wrong value of a plugin's setting makes that plugin `failed` (fatal if required)'."""
    shelf.install("hello", plugin("def open_it(c, s):\n    raise AssertionError('opened')"))
    async with stage.running(environ={"CANDY_HELLO_PORT": "eighty"}, required=["hello"]) as host:
        hosted = host.executors["hello"]
        assert hosted.settings is None
        assert hosted.state is HostedState.FAILED
        assert "CANDY_HELLO_PORT" in str(hosted.error)
        assert "integer" in str(hosted.error)
        assert host.required_down() == ("hello",)
    assert "opened" not in stage.logged()


async def test_settings_refused_by_open_are_not_tried_again(shelf: Any, stage: Stage) -> None:
    shelf.install(
        "hello",
        plugin("""
        from candy_core.errors import SettingsError
        opened = []
        @asynccontextmanager
        async def open_it(context, settings):
            opened.append(1)
            raise SettingsError("url and port exclude each other")
            yield
        """),
    )
    async with stage.running() as host:
        await asyncio.sleep(0.1)  # several backoffs
        assert host.executors["hello"].error == "url and port exclude each other"
        assert sys.modules["shelf_hello"].opened == [1]


async def test_one_failed_record_fails_its_plugin_and_is_named(shelf: Any, stage: Stage) -> None:
    shelf.install(
        "pair",
        """
        def broken(context, settings):
            raise OSError("no route")

        @hookimpl
        def candy_executors():
            return [greeter("well"), greeter("ill", open=broken)]

        @hookimpl
        def candy_reporters():
            return [teller("tell")]
        """,
    )
    async with stage.running() as host:
        assert record(host, "pair").state is PluginState.FAILED
        assert record(host, "pair").error.startswith("executor:ill: OSError: no route")
        assert host.executors["well"].state is HostedState.ACTIVE
        assert host.reporters["tell"].state is HostedState.ACTIVE
        assert await host.reporters["tell"].port()


CHECKED = """
answer = Health(ok=True)
hang = deaf = False
asked = 0
async def check(port):
    global asked
    asked += 1
    while hang:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            if not deaf:
                raise
    if isinstance(answer, BaseException):
        raise answer
    return answer
"""


async def test_a_check_makes_a_plugin_degraded_and_never_failed(shelf: Any, stage: Stage) -> None:
    shelf.install("checked", plugin(CHECKED, "greeter('hello', check=check)"))
    async with stage.running(timing=evolve(QUICK, check=0.1, cancel=0.1)) as host:
        module: Any = sys.modules["shelf_checked"]
        hosted: Hosted[Any] = host.executors["hello"]

        async def says(word: str, detail: str) -> None:
            await eventually(
                lambda: host.checks()["plugin:checked"] == word and detail in str(record(host, "checked").error)
            )
            assert record(host, "checked").state is PluginState.ACTIVE
            assert stage.state("checked") == "active"
            assert await hosted.port()

        await says("ok", "None")
        await eventually(lambda: hosted.health is not None)
        for answer, detail in (
            (candy_health(module, ok=False, detail="the token has expired"), "degraded: the token has expired"),
            (ValueError("odd"), "its check raised ValueError: odd"),
            (SystemExit(2), "its check raised SystemExit: 2"),
            ("fine", "its check gave a str; expected Health"),
        ):
            module.answer = answer
            await says("degraded", detail)
            module.answer = candy_health(module, ok=True)
            await says("ok", "None")
        module.hang = True
        await says("degraded", "its check gave no answer within 0.1 s")
        module.hang = False
        await says("ok", "None")
        module.hang = module.deaf = True
        await eventually(lambda: stage.abandoned("checked") == 1)
        asked = module.asked
        await asyncio.sleep(0.1)
        assert module.asked == asked, "a second check must not be started beside one that hangs"
        await says("degraded", "no answer")
        module.hang = False
        await says("ok", "None")


def candy_health(module: Any, **fields: Any) -> Any:
    return module.Health(**fields)


@pytest.mark.parametrize(
    ("body", "abandoned"),
    [
        ("    try:\n        yield Greeter()\n    finally:\n        await asyncio.sleep(1000)", 0),
        (
            "    try:\n        yield Greeter()\n    finally:\n        while not released.is_set():\n            try:\n"
            "                await released.wait()\n"
            "            except asyncio.CancelledError:\n                pass",
            1,
        ),
        (
            "    async with asyncio.TaskGroup() as group:\n        group.create_task(asyncio.sleep(1000))\n"
            "        yield Greeter()",
            0,
        ),
        ("    yield Greeter()\n    raise SystemExit('at the end')", 0),
    ],
)
async def test_leaving_is_bounded_whatever_the_plugin_does(shelf: Any, stage: Stage, body: str, abandoned: int) -> None:
    """It is left at all, which the plugin alone would be after 1000 s, or never."""
    start = "released = asyncio.Event()\n@asynccontextmanager\nasync def open_it(c, s):\n"
    package = shelf.install("hello", plugin(start + body))
    async with stage.running(timing=evolve(QUICK, leave=0.2, cancel=0.1 if abandoned else 60.0)):
        pass
    assert stage.abandoned("hello") == abandoned
    sys.modules[package].released.set()


async def test_what_could_not_even_be_loaded_is_in_the_log_with_distribution_and_version(
    shelf: Any, stage: Stage
) -> None:
    shelf.install("bad", "raise ValueError('no')", version="2.5")
    async with stage.running(required=["bad"]) as host:
        assert host.checks() == {"plugin:bad": "failed"}
        assert host.required_down() == ("bad",)
        assert stage.state("bad") == "failed"
    (entry,) = [entry for entry in stage.captured.entries if entry["event"] == "plugin_unusable"]
    assert (entry["plugin"], entry["distribution"], entry["version"]) == ("bad", "shelf-bad", "2.5")
    assert "ValueError: no" in entry["error"]


async def test_a_blocked_plugin_is_no_check_unless_it_is_required(shelf: Any, stage: Stage) -> None:
    shelf.install("hello", GOOD)
    async with stage.running(blocked=["hello"]) as host:
        assert host.checks() == {}
        assert record(host, "hello").state is PluginState.BLOCKED
        assert stage.state("hello") == "blocked"
    async with stage.running(blocked=["hello"], required=["hello"]) as host:
        assert host.checks() == {"plugin:hello": "blocked"}
        assert host.required_down() == ("hello",)


async def test_of_two_distributions_with_one_name_the_one_that_is_not_blocked_is_shown(
    shelf: Any, stage: Stage
) -> None:
    shelf.install("hello", GOOD, distribution="candy-one")
    shelf.install("hello", GOOD, distribution="candy-two")
    for blocked in ("candy-one", "candy-two"):
        async with stage.running(blocked=[blocked], required=["hello"]) as host:
            assert host.checks() == {"plugin:hello": "ok"}
            assert host.required_down() == ()
            assert stage.state("hello") == "active"


async def test_a_port_that_is_asked_for_while_it_opens_is_waited_for(shelf: Any, stage: Stage, context: Any) -> None:
    shelf.install(
        "hello",
        plugin("@asynccontextmanager\nasync def open_it(c, s):\n    await asyncio.sleep(0.1)\n    yield Greeter()"),
    )
    configuration = load_configuration(None, {}, hostname="host")
    host = PluginHost(
        discover(blocked=shelf.elsewhere),
        context=context,
        settings=configuration.plugin,
        required=(),
        metrics=stage.metrics,
        logger=stage._logger,
        open_timeout=60.0,
    )
    assert host.checks() == {"plugin:hello": "opening"}
    assert host.required_down() == ()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(host.run())
        assert await host.executors["hello"].port()
        running.cancel()


def test_the_backoff_doubles_up_to_five_minutes_and_jitters() -> None:
    for failures, longest in ((1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (10_000, 300)):
        assert all(longest / 2 <= Timing().backoff(failures) <= longest for _ in range(50))
    assert len({Timing().backoff(3) for _ in range(50)}) > 1
