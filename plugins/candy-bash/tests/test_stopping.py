"""At a timeout or a cancel every process that a command started is dead, however forked (contract section 3)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from candy_bash.subreaper import Subreaper
from candy_core import Locale
from candy_testbed import busy_seconds, eventually
from candy_testbed.sleepers import processes

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="running commands as another user requires root")

KILL_TABLE = {
    "a plain process": "exec sleep {s}",
    "a child": "sleep {s}; sleep {s}",
    "children in the background": "sleep {s} & sleep {s} & wait",
    "a trap for TERM": "trap '' TERM; sleep {s}; sleep {s}; sleep {s}",
    "a handler that starts another": "trap 'sleep {s}' TERM; sleep {s} & wait; sleep {s}",
    "a trap for all that can be trapped": "trap '' HUP INT QUIT TERM; while :; do sleep {s}; done",
    "setsid": "setsid sleep {s} & wait",
    "setsid within a trap": "trap '' TERM; setsid -w sh -c 'trap \"\" TERM; sleep {s}; sleep {s}'; sleep {s}",
    "nohup": "nohup sleep {s} >/dev/null 2>&1 & wait",
    "a double fork": "(sleep {s} &) ; sleep {s}",
    "a double fork into a session": "(setsid sleep {s} >/dev/null 2>&1 </dev/null &) ; sleep {s}",
    "no environment": "env -i sleep {s}; sleep {s}",
    "no environment in a session": "env -i setsid sleep {s} & wait",
    "no environment, a session, a double fork": "(env -i setsid sleep {s} >/dev/null 2>&1 &) ; sleep {s}",
    "all of it, with a trap": (
        "(env -i setsid bash -c 'trap \"\" TERM HUP; sleep {s}; sleep {s}' >/dev/null 2>&1 &) ; trap '' TERM; sleep {s}"
    ),
    "a group of its own": "set -m; sleep {s} & sleep {s} & wait",
    "a stopped process": "sleep {s} & sleep 0.2; kill -STOP $!; wait",
    "a pipeline": "sleep {s} | sleep {s}",
    "a login as another user": "sleep 0.2; su - nobody -s /bin/sh -c 'setsid sleep {s} >/dev/null 2>&1 &'; sleep {s}",
    "a chain of sessions": "setsid -w setsid -w setsid -w sleep {s}; sleep {s}",
}


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=needs_root)], ids=["same-user", "other-user"])
@pytest.mark.parametrize("command", KILL_TABLE.values(), ids=[name.replace(" ", "-") for name in KILL_TABLE])
async def test_everything_is_dead_after_a_cancel(
    open_agent: Any, sleepers: Any, command: str, user: str | None
) -> None:
    """Contract §3: 'every process that the command started is dead, in whatever session or process group and however
    forked …; `stats.terminated` is `verified`'.
    """
    async with open_agent(**({} if user is None else {"user": user})) as agent:
        outcome = await agent.run_and_cancel(command.format(s=sleepers.seconds), when=sleepers)
        assert sleepers() == []
        assert outcome.stats["terminated"] == "verified"


async def test_many_are_canceled_at_once(agent: Any, sleepers: Any) -> None:
    command = KILL_TABLE["all of it, with a trap"].format(s=sleepers.seconds)
    calls = [asyncio.ensure_future(agent.run(command)) for _ in range(16)]
    await eventually(lambda: len(sleepers()) == 32)
    for call in calls:
        call.cancel()
    with busy_seconds() as passed:
        outcomes = await asyncio.gather(*calls)
        assert passed() < 5
    assert sleepers() == []
    assert {outcome.stats["terminated"] for outcome in outcomes} == {"verified"}


async def test_processes_of_other_runs_are_left_alone(agent: Any, sleepers: Any) -> None:
    """Two orphans without marker, and with neither parent nor session in common, are still told apart."""
    command = f"(env -i setsid sleep {sleepers.seconds} >/dev/null 2>&1 &); exec sleep {sleepers.seconds}"
    mine = asyncio.ensure_future(agent.run(command))
    await eventually(lambda: len(sleepers()) == 2)
    before = set(sleepers())
    outcome = await agent.run_and_cancel(command, when=lambda: len(sleepers()) == 4)
    assert outcome.stats["terminated"] == "verified"
    assert set(sleepers()) == before
    mine.cancel()
    await mine
    assert sleepers() == []


def bombs(script: Path) -> list[int]:
    """The shells that run it, at any depth."""
    return processes(lambda words: list(words[:2]) == ["/bin/sh", str(script)])


async def test_a_fork_bomb_is_terminated(open_agent: Any, tmp_path: Path) -> None:
    script = tmp_path / "bomb"
    # It stops by itself after some generations, in case it is not terminated.
    script.write_text(
        '#!/bin/sh\ntrap "" TERM\n[ "$1" -gt 12 ] && exit\nsleep 0.1\n"$0" $(($1 + 1)) & "$0" $(($1 + 1)) &\nwait\n'
    )
    script.chmod(0o755)

    async with open_agent(grace=0) as agent:
        outcome = await agent.run_and_cancel(f"{script} 0", when=lambda: len(bombs(script)) >= 15)
        assert bombs(script) == []
        assert outcome.stats["terminated"] == "verified"


async def test_a_bomb_of_sessions_without_parents_is_terminated(open_agent: Any, tmp_path: Path) -> None:
    script = tmp_path / "bomb"
    script.write_text(
        '#!/bin/sh\ntrap "" TERM\n[ "$1" -gt 8 ] && exit\nsleep 0.3\n'
        'env -i setsid "$0" $(($1 + 1)) & env -i setsid "$0" $(($1 + 1)) &\nexit 0\n'
    )
    script.chmod(0o755)

    async with open_agent(grace=0) as agent:
        outcome = await agent.run_and_cancel(
            f"{script} 0 >/dev/null 2>&1; sleep 60", when=lambda: len(bombs(script)) >= 8
        )
        assert bombs(script) == []
        assert outcome.stats["terminated"] == "verified"


@pytest.mark.parametrize(
    "command",
    [
        "sleep {s} >/dev/null 2>&1 & echo done",
        "(setsid sleep {s} >/dev/null 2>&1 &); echo done",
        "(env -i setsid sleep {s} >/dev/null 2>&1 &); sleep 0.1; echo done",
        "nohup sleep {s} >/dev/null 2>&1 & echo done",
    ],
)
async def test_processes_left_behind_are_terminated_with_the_command(agent: Any, sleepers: Any, command: str) -> None:
    outcome = await agent.run(command.format(s=sleepers.seconds))
    assert sleepers() == []
    assert (outcome.status, outcome.value) == ("normal", "done")
    assert "left processes behind, which were ended: " in outcome.details
    assert outcome.stats["terminated"] == "verified"


@needs_root
@pytest.mark.skipif(shutil.which("su") is None, reason="there is no su on this host")
async def test_processes_left_by_a_login_as_another_user_are_terminated_too(agent: Any, sleepers: Any) -> None:
    """``su -`` drops the environment, and on Debian it resets the soft limits. Contract §3: 'however forked'."""
    login = f"su - nobody -s /bin/sh -c 'setsid sleep {sleepers.seconds} >/dev/null 2>&1 &'"
    outcome = await agent.run(f"sleep 0.2; {login}; echo done")
    assert sleepers() == []
    assert (outcome.value, outcome.stats["terminated"]) == ("done", "verified")


async def test_a_grandchild_that_holds_stdout_open_does_not_hold_the_item(agent: Any, sleepers: Any) -> None:
    command = f"(trap '' TERM; sleep {sleepers.seconds}; sleep {sleepers.seconds}) & echo done; exit 3"
    with busy_seconds() as passed:
        outcome = await agent.run(command)
        assert passed() < 4
    assert (outcome.status, outcome.value, outcome.stats["exit_code"]) == ("failed", "done", 3)
    assert sleepers() == []


async def test_a_command_that_leaves_nothing_behind_reports_no_termination(agent: Any) -> None:
    outcome = await agent.run("true & wait; (true); echo done")
    assert "terminated" not in outcome.stats
    assert outcome.value == "done"


async def test_output_before_the_cancel_is_kept(agent: Any, sleepers: Any) -> None:
    outcome = await agent.run_and_cancel(f"echo partly; sleep {sleepers.seconds}", when=sleepers)
    assert outcome.value == "partly"
    assert "Stdout:\npartly" in outcome.details


async def test_leftovers_are_terminated_even_if_canceled_meanwhile(open_agent: Any, sleepers: Any) -> None:
    async with open_agent(grace=2) as agent:
        command = f"(trap '' TERM; while :; do sleep {sleepers.seconds}; done) >/dev/null 2>&1 & sleep 0.2"
        call = asyncio.ensure_future(agent.run(command))
        await eventually(sleepers)
        await asyncio.sleep(0.4)  # the command has ended, and its leftovers have received TERM
        assert not call.done()
        call.cancel()
        with busy_seconds() as passed:
            outcome = await call
            assert passed() < 5
        assert sleepers() == []
        assert outcome.stats["terminated"] == "verified"


async def test_after_a_second_cancel_the_reap_loop_does_the_rest(open_agent: Any, sleepers: Any) -> None:
    async with open_agent(grace=2) as agent:
        call = asyncio.ensure_future(agent.run(f"trap '' TERM; while :; do sleep {sleepers.seconds}; done"))
        await eventually(sleepers)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await call
        await eventually(lambda: not sleepers())


async def test_closing_the_plugin_kills_abandoned_processes(open_agent: Any, sleepers: Any) -> None:
    async with open_agent(grace=2) as agent:
        call = asyncio.ensure_future(agent.run(f"trap '' TERM; while :; do sleep {sleepers.seconds}; done"))
        await eventually(sleepers)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await call
    assert sleepers() == []


async def test_closing_the_plugin_kills_processes_within_their_grace(open_agent: Any, sleepers: Any) -> None:
    async with open_agent(grace=2) as agent:
        call = asyncio.ensure_future(agent.run(f"trap '' TERM; while :; do sleep {sleepers.seconds}; done"))
        await eventually(sleepers)
        call.cancel()
        await asyncio.sleep(0.05)
    assert sleepers() == []
    outcome = await call
    assert outcome.stats["terminated"] == "verified"


def zombies() -> set[int]:
    """Children of this process that have ended and have not been reaped."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text() if folder.name.isdigit() else ""
        except OSError:
            continue
        fields = stat.rpartition(") ")[2].split()
        if fields and fields[0] == "Z" and int(fields[1]) == os.getpid():
            found.add(int(folder.name))
    return found


async def test_no_zombie_is_left(agent: Any) -> None:
    before = zombies()
    await asyncio.gather(*(agent.run("(sh -c 'true &' &); (setsid true &); true") for _ in range(20)))
    await eventually(lambda: not zombies() - before)


async def test_orphans_that_end_while_a_command_runs_are_reaped(agent: Any, sleepers: Any) -> None:
    before = zombies()
    call = asyncio.ensure_future(agent.run(f"for i in 1 2 3 4 5; do (true &); done; exec sleep {sleepers.seconds}"))
    await eventually(sleepers)
    await eventually(lambda: not zombies() - before)
    call.cancel()
    await call


async def test_children_of_other_code_are_not_touched(agent: Any, sleepers: Any) -> None:
    """A plugin that reaps with waitpid(-1) would steal their exit codes."""
    inside = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.3; exit 7")
    outside = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.3; exit 8", start_new_session=True)
    await agent.run_and_cancel(f"sleep {sleepers.seconds}", when=sleepers)
    await agent.run("(true &); sleep 0.5")
    assert (await inside.wait(), await outside.wait()) == (7, 8)


async def test_orphans_of_other_code_do_not_stay_zombies() -> None:
    """Being a subreaper, the agent inherits them too, and no other code will ever wait for them."""
    now = [0.0]
    subreaper = Subreaper(clock=lambda: now[0])
    assert subreaper.active
    before = zombies()
    other = await asyncio.create_subprocess_exec("sh", "-c", "true & exec sleep 0.2")
    await other.wait()
    await eventually(lambda: zombies() - before)
    subreaper.reap()
    now[0] += 59
    subreaper.reap()
    assert zombies() - before
    now[0] += 2
    subreaper.reap()
    assert not zombies() - before


async def test_an_unattributed_orphan_makes_the_termination_unverified(
    open_agent: Any, sleepers: Any, tmp_path: Path
) -> None:
    """Contract §3: 'or `unverified` with the reason in `details`'."""
    script = tmp_path / "orphan.py"
    script.write_text(
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_MSGQUEUE, (5, 5))\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "os.setpgid(0, 0)\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "os.execve('/bin/sleep', ['sleep', sys.argv[1]], {})\n"
    )
    async with open_agent() as agent:
        # It has dropped everything it inherited, and its ancestors have ended, before the first scan.
        command = (
            f"env -i {sys.executable} {script} {sleepers.seconds} </dev/null >/dev/null 2>&1 & wait; exec sleep 77"
        )
        outcome = await agent.run_and_cancel(command, when=sleepers, locale=Locale.EN)
        [pid] = sleepers()
        os.kill(pid, 9)
        await eventually(lambda: not sleepers())
        assert outcome.stats["terminated"] == "unverified"
        assert f"these may come from it, or from another command: sleep ({pid})" in outcome.details
