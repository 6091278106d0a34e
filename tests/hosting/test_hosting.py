"""Hosting plugins: one that hangs, fails or has wrong settings affects no other, and is reopened."""

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

from .stage import GOOD, QUICK, HostBench, plugin, record


@pytest.fixture
def bench(site: Any, logger: Logger, captured: LogCapture, context: Any) -> HostBench:
    return HostBench(site, logger, captured, context)


async def test_a_plugin_is_opened_once_for_all_its_aliases_and_closed_at_the_end(site: Any, bench: HostBench) -> None:
    package = site.install(
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
    async with bench.running(environ={"CANDY_HELLO_PORT": "8080"}) as host:
        hosted = host.executors["hello"]
        assert host.executors["hi"] is hosted
        assert (hosted.plugin, hosted.name, hosted.kind) == ("hello", "hello", "executor")
        assert hosted.state is HostedState.ACTIVE
        assert callable((await hosted.port()).run)  # type: ignore[union-attr]  # it announced no batches
        assert host.checks() == {"plugin:hello": "ok"}
        assert bench.state("hello") == "active"
    assert sys.modules[package].events == [("hello", 8080), "closed"]
    with pytest.raises(PluginDown, match="the agent is stopping"):
        await hosted.port()


@pytest.mark.parametrize(
    ("body", "error"),
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
        ("@asynccontextmanager\nasync def open_it(c, s):\n    yield Recorder()", "a Recorder without the method run"),
        (
            "async def open_it(c, s):\n    return Greeter()",
            "open returned a coroutine; expected an async context manager",
        ),
        ("def open_it(c, s):\n    return Greeter()", "open returned a Greeter; expected an async context manager"),
        (
            "def open_it(c, s):\n    raise ConnectionError('postgres://u:hunter2@db')",
            "ConnectionError: postgres://u:******@db",
        ),
    ],
)
async def test_a_plugin_that_fails_to_open_does_not_affect_others(
    site: Any, bench: HostBench, body: str, error: str
) -> None:
    site.install("bad", plugin(body))
    site.install("good", GOOD)
    async with bench.running(environ={"CANDY_BAD_TOKEN": "hunter2"}, required=["good", "bad", "lost"]) as host:
        await eventually(lambda: error in str(record(host, "bad").error))
        assert record(host, "bad").state is PluginState.FAILED
        assert record(host, "bad").error.startswith("executor:hello: ")
        assert host.executors["good"].state is HostedState.ACTIVE
        assert host.checks() == {"plugin:bad": "failed", "plugin:good": "ok", "plugin:lost": "missing"}
        assert host.required_down() == ("bad", "lost")
        assert bench.state("bad") == "failed"
        with pytest.raises(PluginDown) as caught:
            await host.executors["hi"].port()
        assert isinstance(caught.value, BackendUnavailable)
        assert caught.value.code == "backend_unavailable"
        assert "executor 'hello' of plugin 'bad' is down" in str(caught.value)
    assert "hunter2" not in bench.logged()


async def test_a_plugin_that_hangs_in_open_fails_and_the_agent_runs(site: Any, bench: HostBench) -> None:
    site.install(
        "slow",
        plugin("@asynccontextmanager\nasync def open_it(c, s):\n    await asyncio.sleep(1000)\n    yield Greeter()"),
    )
    site.install("good", GOOD)
    async with bench.running(open_timeout=0.5) as host:  # it runs, though "slow" would take 1000 s to open
        assert record(host, "slow").error == "executor:hello: did not open within 0.5 s"
        await eventually(lambda: host.executors["good"].state is HostedState.ACTIVE)
    assert bench.abandoned("slow") == 0


async def test_an_open_that_ignores_its_cancellation_is_abandoned_once(site: Any, bench: HostBench) -> None:
    site.install(
        "stuck",
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
    async with bench.running(open_timeout=1.0, timing=evolve(QUICK, cancel=0.1)) as host:
        vars(sys.modules["site_stuck"])["look"] = lambda: seen.append(host.executors["hello"].state)
        await eventually(lambda: bench.abandoned("stuck") == 1)
        assert "plugin_abandoned" in bench.logged()
        await asyncio.sleep(0.1)  # several backoffs: none may start a second attempt while the first is running
        assert sys.modules["site_stuck"].opened == 1
        sys.modules["site_stuck"].released.set()
        await eventually(lambda: bench.state("stuck") == "active")
        assert seen == [HostedState.FAILED], "a port that is opened too late is not used"
        assert sys.modules["site_stuck"].opened == 2
    assert bench.abandoned("stuck") == 1


FAILING = """
failures = []
@asynccontextmanager
async def open_it(context, settings):
    async with asyncio.TaskGroup() as group:
        fail = asyncio.Event()
        async def work():
            await fail.wait()
            raise OSError("the watch failed")
        group.create_task(work())
        failures.append(fail)
        yield Greeter()
"""


async def test_a_plugin_whose_background_work_fails_is_reopened_and_affects_no_other(
    site: Any, bench: HostBench
) -> None:
    site.install("failing", plugin(FAILING))
    site.install("good", GOOD)
    delays: list[float] = []
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await gate.wait()

    timing = Timing(backoff=lambda failures: 10.0 * failures, sleep=sleep)
    async with bench.running(timing=timing) as host:
        hosted = host.executors["hello"]
        first = await hosted.port()
        sys.modules["site_failing"].failures[0].set()
        await eventually(lambda: delays)
        assert hosted.state is HostedState.FAILED
        assert "OSError: the watch failed" in str(hosted.error)
        assert host.checks()["plugin:failing"] == "failed"
        assert bench.state("failing") == "failed"
        with pytest.raises(PluginDown) as caught:
            await hosted.port()
        assert 5 < caught.value.retry_after <= 10
        gate.set()
        await eventually(lambda: record(host, "failing").error is None)
        assert await hosted.port() is not first
        assert record(host, "failing").error is None
        assert bench.state("failing") == "active"
        assert delays == [10.0]
        sys.modules["site_failing"].failures[1].set()
        await eventually(lambda: len(delays) == 2)
        assert delays == [10.0, 20.0]
        assert host.executors["good"].state is HostedState.ACTIVE


async def test_the_backoff_starts_anew_after_a_stable_period(site: Any, bench: HostBench) -> None:
    site.install("failing", plugin(FAILING))
    now = 0.0
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await asyncio.sleep(0)

    timing = Timing(backoff=lambda failures: float(failures), sleep=sleep, clock=lambda: now, stable=60)
    async with bench.running(timing=timing) as host:
        hosted = host.executors["hello"]
        for number, lived in enumerate((0.0, 59.0, 61.0)):
            await eventually(lambda: hosted.state is HostedState.ACTIVE)
            now += lived
            sys.modules["site_failing"].failures[number].set()
            await eventually(lambda number=number: len(delays) == number + 1)  # type: ignore[misc]  # a lambda's default
    assert delays == [1.0, 2.0, 1.0]


async def test_wrong_settings_fail_the_plugin_with_the_reason_and_are_not_retried(site: Any, bench: HostBench) -> None:
    """Contract §7: 'a wrong value of a plugin's setting makes that plugin `failed` (fatal if required)'."""
    site.install("hello", plugin("def open_it(c, s):\n    raise AssertionError('opened')"))
    async with bench.running(environ={"CANDY_HELLO_PORT": "eighty"}, required=["hello"]) as host:
        hosted = host.executors["hello"]
        assert hosted.settings is None
        assert hosted.state is HostedState.FAILED
        assert "CANDY_HELLO_PORT" in str(hosted.error)
        assert "integer" in str(hosted.error)
        assert host.required_down() == ("hello",)
    assert "opened" not in bench.logged()


async def test_a_settings_error_in_open_is_not_retried(site: Any, bench: HostBench) -> None:
    site.install(
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
    async with bench.running() as host:
        await asyncio.sleep(0.1)  # several backoffs
        assert host.executors["hello"].error == "url and port exclude each other"
        assert sys.modules["site_hello"].opened == [1]


async def test_one_failed_record_fails_its_plugin_and_is_named(site: Any, bench: HostBench) -> None:
    site.install(
        "pair",
        """
        def broken(context, settings):
            raise OSError("no route")

        @hookimpl
        def candy_executors():
            return [greeter("good"), greeter("bad", open=broken)]

        @hookimpl
        def candy_reporters():
            return [reporter_spec("tell")]
        """,
    )
    async with bench.running() as host:
        assert record(host, "pair").state is PluginState.FAILED
        assert record(host, "pair").error.startswith("executor:bad: OSError: no route")
        assert host.executors["good"].state is HostedState.ACTIVE
        assert host.reporters["tell"].state is HostedState.ACTIVE
        assert await host.reporters["tell"].port()


CHECKED = """
answer = Health(ok=True)
hang = ignore_cancel = False
calls = 0
async def check(port):
    global calls
    calls += 1
    while hang:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            if not ignore_cancel:
                raise
    if isinstance(answer, BaseException):
        raise answer
    return answer
"""


async def test_a_check_makes_a_plugin_degraded_and_never_failed(site: Any, bench: HostBench) -> None:
    site.install("checked", plugin(CHECKED, "greeter('hello', check=check)"))
    async with bench.running(timing=evolve(QUICK, check=0.1, cancel=0.1)) as host:
        module: Any = sys.modules["site_checked"]
        hosted: Hosted[Any] = host.executors["hello"]

        async def shows(state: str, detail: str) -> None:
            await eventually(
                lambda: host.checks()["plugin:checked"] == state and detail in str(record(host, "checked").error)
            )
            assert record(host, "checked").state is PluginState.ACTIVE
            assert bench.state("checked") == "active"
            assert await hosted.port()

        await shows("ok", "None")
        await eventually(lambda: hosted.health is not None)
        for answer, detail in (
            (candy_health(module, ok=False, detail="the token has expired"), "degraded: the token has expired"),
            (ValueError("odd"), "its check raised ValueError: odd"),
            (SystemExit(2), "its check raised SystemExit: 2"),
            ("fine", "its check returned a str; expected Health"),
        ):
            module.answer = answer
            await shows("degraded", detail)
            module.answer = candy_health(module, ok=True)
            await shows("ok", "None")
        module.hang = True
        await shows("degraded", "its check gave no answer within 0.1 s")
        module.hang = False
        await shows("ok", "None")
        module.hang = module.ignore_cancel = True
        await eventually(lambda: bench.abandoned("checked") == 1)
        calls = module.calls
        await asyncio.sleep(0.1)
        assert module.calls == calls, "no second check may start while one hangs"
        await shows("degraded", "no answer")
        module.hang = False
        await shows("ok", "None")


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
        ("    yield Greeter()\n    raise SystemExit('while closing')", 0),
    ],
)
async def test_closing_has_a_time_limit_whatever_the_plugin_does(
    site: Any, bench: HostBench, body: str, abandoned: int
) -> None:
    """It is closed at all: the plugin alone would take 1000 s, or forever."""
    start = "released = asyncio.Event()\n@asynccontextmanager\nasync def open_it(c, s):\n"
    package = site.install("hello", plugin(start + body))
    async with bench.running(timing=evolve(QUICK, close=0.2, cancel=0.1 if abandoned else 60.0)):
        pass
    assert bench.abandoned("hello") == abandoned
    sys.modules[package].released.set()


async def test_a_plugin_that_fails_to_load_is_logged_with_distribution_and_version(site: Any, bench: HostBench) -> None:
    site.install("bad", "raise ValueError('no')", version="2.5")
    async with bench.running(required=["bad"]) as host:
        assert host.checks() == {"plugin:bad": "failed"}
        assert host.required_down() == ("bad",)
        assert bench.state("bad") == "failed"
    (entry,) = [entry for entry in bench.captured.entries if entry["event"] == "plugin_load_failed"]
    assert (entry["plugin"], entry["distribution"], entry["version"]) == ("bad", "site-bad", "2.5")
    assert "ValueError: no" in entry["error"]


async def test_a_blocked_plugin_is_not_in_the_checks_unless_required(site: Any, bench: HostBench) -> None:
    site.install("hello", GOOD)
    async with bench.running(blocked=["hello"]) as host:
        assert host.checks() == {}
        assert record(host, "hello").state is PluginState.BLOCKED
        assert bench.state("hello") == "blocked"
    async with bench.running(blocked=["hello"], required=["hello"]) as host:
        assert host.checks() == {"plugin:hello": "blocked"}
        assert host.required_down() == ("hello",)


async def test_with_two_distributions_of_one_name_the_unblocked_one_is_shown(site: Any, bench: HostBench) -> None:
    site.install("hello", GOOD, distribution="candy-one")
    site.install("hello", GOOD, distribution="candy-two")
    for blocked in ("candy-one", "candy-two"):
        async with bench.running(blocked=[blocked], required=["hello"]) as host:
            assert host.checks() == {"plugin:hello": "ok"}
            assert host.required_down() == ()
            assert bench.state("hello") == "active"


async def test_port_waits_for_the_first_opening(site: Any, bench: HostBench, context: Any) -> None:
    site.install(
        "hello",
        plugin("@asynccontextmanager\nasync def open_it(c, s):\n    await asyncio.sleep(0.1)\n    yield Greeter()"),
    )
    configuration = load_configuration(None, {}, hostname="host")
    host = PluginHost(
        discover(blocked=site.elsewhere),
        context=context,
        settings=configuration.plugin,
        required=(),
        metrics=bench.metrics,
        logger=bench._logger,
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
