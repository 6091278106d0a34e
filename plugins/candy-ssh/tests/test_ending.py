"""What a command started is dead when its item has ended, whatever it did to stay alive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from candy_core import Outcome
from candy_core.hosting.calls import CANCEL_GRACE
from candy_ssh import command_run
from candy_testbed import Account, Sshd
from candy_testbed.requirement import required, skip_or_fail
from candy_testbed.server import MissingServer
from candy_testbed.sleepers import Sleepers
from candy_testbed.ssh_hosts import USER, accounts

pytestmark = pytest.mark.usefixtures("slow_machine")
S = "sleep {s}"
NO_PIPE = ">/dev/null 2>&1 </dev/null"
COMMANDS = {
    "a plain process": "exec sleep {s}",
    "a child": "sleep {s}; true",
    "a trap against TERM": "trap '' TERM; sleep {s}; sleep {s}; sleep {s}",
    "a trap against everything": "trap '' TERM HUP INT PIPE; while :; do sleep {s}; done",
    "nohup": "nohup sleep {s} >/dev/null 2>&1 & sleep {s}",
    "a session of its own": "setsid sleep {s} & sleep {s}",
    "a double fork": "(sleep {s} &) ; sleep {s}",
    "a double fork in a session of its own": "(setsid sh -c 'sleep {s} & sleep {s}' &) ; sleep {s}",
    "no environment, a session of its own": "env -i setsid sleep {s}",
    "no environment, a double fork": f"env -i setsid sh -c '{S} & sleep 0.3' {NO_PIPE}; {S}",
    "no environment, no pipe, a double fork at once": f"env -i setsid sh -c '{S} &' {NO_PIPE}; {S}",
    "no environment, a double fork at once, a pipe in hand": "env -i setsid sh -c 'sleep {s} &' ; sleep {s}",
    "a shell that goes on": "for i in 1 2 3 4 5 6 7 8 9; do sleep {s}; done",
}


@pytest.mark.parametrize("user", ["own", "other"], indirect=True)
@pytest.mark.parametrize("how", COMMANDS)
async def test_nothing_is_left_after_a_cancel(
    open_agent: Any, ssh_keys: Path, sleepers: Sleepers, user: str, how: str
) -> None:
    """Contract §3: "At a timeout or a cancel every process that the command started is dead … ``verified``"."""
    async with open_agent(
        credentials={"login": {"username": user, "private_key_file": str(ssh_keys / "login")}}
    ) as agent:
        outcome = await agent.run_and_cancel(0.3, sleepers.started(), command=COMMANDS[how].format(s=sleepers.seconds))
    assert sleepers() == []
    assert outcome.stats.get("terminated") == "verified", outcome.details


async def test_what_a_command_forced_exit_in_its_streams_is_ended_with_it(agent: Any, sleepers: Sleepers) -> None:
    outcome = await agent.run(command=f"env -i setsid sleep {sleepers.seconds} & echo started")
    assert (outcome.status, outcome.value) == ("normal", "started")
    assert outcome.stats["terminated"] == "verified"
    assert sleepers() == []


async def test_other_runs_on_the_same_connection_go_on(agent: Any, sleepers: Sleepers) -> None:
    other = asyncio.ensure_future(agent.run(command="sleep 3; echo still here"))
    outcome = await agent.run_and_cancel(0.1, sleepers.started(), command=f"sleep {sleepers.seconds}")
    assert outcome.stats["terminated"] == "verified"
    assert (await other).value == "still here"
    assert agent.executor.pool.opened == 1


async def test_the_output_so_far_is_told(agent: Any, sleepers: Sleepers) -> None:
    outcome = await agent.run_and_cancel(0.1, sleepers.started(), command=f"echo begun; sleep {sleepers.seconds}")
    assert outcome.value == "begun"
    assert "begun" in outcome.details


async def test_a_lost_connection_is_no_reason_to_leave_a_command_alive(
    agent: Any, sshd: Sshd, sleepers: Sleepers
) -> None:
    call = asyncio.ensure_future(agent.run(command=f"sleep {sleepers.seconds}"))
    await sleepers.started()
    await asyncio.sleep(0.3)
    for link in list(agent.executor.pool._connections):
        link.connection.abort()
    outcome: Outcome = await call
    assert outcome.reason == "unreachable"
    assert outcome.stats["terminated"] == "verified", outcome.details
    assert sleepers() == []


def as_root(why: str) -> None:
    """Skip the test unless it runs as root; fail it where everything is required."""
    if os.geteuid() != 0:
        skip_or_fail(MissingServer("root", "root", why))


@pytest.fixture
def become(tmp_path: Path) -> Path:
    """A setuid program that runs as root, as sudo does."""
    as_root("only root can make a program that runs as root")
    program = tmp_path / "become"
    shutil.copy(shutil.which("setpriv") or "setpriv", program)
    program.chmod(0o4755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/") and str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    return program


async def left_alive(agent: Any, become: Path, sleepers: Sleepers, **params: Any) -> None:
    """A process of root's, started by a user who may not kill it, is named."""
    command = f"{become} --reuid 0 --clear-groups env -i setsid sh -c 'sleep {sleepers.seconds} &' {NO_PIPE}; sleep 600"
    outcome = await agent.run_and_cancel(0.3, sleepers.started(), command=command, **params)
    left = sleepers()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert len(left) == 1
    assert outcome.stats["terminated"] == "unverified"
    assert f"still alive: {left[0]}(sleep)" in outcome.details


async def test_what_is_beyond_the_users_rights_is_told(
    open_agent: Any, ssh_keys: Path, sleepers: Sleepers, become: Path
) -> None:
    login = {"username": USER, "private_key_file": str(ssh_keys / "login")}
    async with open_agent(credentials={"login": login}) as agent:
        await left_alive(agent, become, sleepers)


async def test_a_slow_host_tells_of_it_in_time(
    open_agent: Any, ssh_keys: Path, sleepers: Sleepers, become: Path, tmp_path: Path
) -> None:
    """Each look at the processes takes half a second there; the engine waits for five."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "awk").write_text('#!/bin/sh\nsleep 0.2\nexec /usr/bin/awk "$@"\n')
    (slow / "awk").chmod(0o755)
    server = Sshd(
        authorized=[(ssh_keys / "login.pub").read_text()],
        accounts=accounts(),
        options=[f"SetEnv PATH={slow}:/usr/bin:/bin"],
    )
    login = {"username": USER, "private_key_file": str(ssh_keys / "login")}
    with required(server):
        (tmp_path / "known").write_text(server.known_hosts())
        async with open_agent(credentials={"login": login}, known_hosts=str(tmp_path / "known")) as agent:
            await left_alive(agent, become, sleepers, port=server.port)


async def test_a_look_that_fails_is_taken_again(
    open_agent: Any, ssh_keys: Path, sleepers: Sleepers, tmp_path: Path
) -> None:
    """Every second one, as on a host that has no memory for a moment.

    Contract §3: "every process that the command started is dead".
    """
    flaky = tmp_path / "flaky"
    flaky.mkdir(mode=0o755)
    (flaky / "count").write_text("0")
    (flaky / "count").chmod(0o666)
    second = f"read -r n <{flaky}/count; echo $((n + 1)) >{flaky}/count; [ $((n % 2)) = 0 ] || exit 1"
    verdict = f'case "$*" in *self=*) {second} ;; esac'
    (flaky / "awk").write_text(f'#!/bin/sh\n{verdict}\nexec /usr/bin/awk "$@"\n')
    (flaky / "awk").chmod(0o755)
    login = (ssh_keys / "login.pub").read_text()
    with required(Sshd(authorized=[login], options=[f"SetEnv PATH={flaky}:/usr/bin:/bin"])) as server:
        (tmp_path / "known").write_text(server.known_hosts())
        async with open_agent(known_hosts=str(tmp_path / "known")) as agent:
            command = f"sleep {sleepers.seconds} & sleep {sleepers.seconds}"
            outcome = await agent.run_and_cancel(0.3, sleepers.started(2), command=command, port=server.port)
    assert outcome.stats["terminated"] == "verified", outcome.details
    assert sleepers() == []


async def test_a_template_is_ended_as_a_command_is(open_agent: Any, tmp_path: Path, sleepers: Sleepers) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text(
        f"templates:\n  wait:\n    argv: [sh, -c, 'setsid sleep {sleepers.seconds} & sleep {sleepers.seconds}']\n"
    )
    async with open_agent(templates=str(file), allow_command=None) as agent:
        outcome = await agent.run_and_cancel(0.3, sleepers.started(2), template="wait")
    assert outcome.stats["terminated"] == "verified"
    assert sleepers() == []


async def test_an_item_on_many_hosts_is_ended_on_all_of_them(open_agent: Any, sshd: Any, sleepers: Sleepers) -> None:
    hosts = ["127.0.0.1", "localhost"]
    async with open_agent(
        allowed_hosts="127.0.0.1,localhost", host_keys=dict.fromkeys(hosts, (sshd.host_key,))
    ) as agent:
        outcome = await agent.run_and_cancel(
            0.3, sleepers.started(2), host=None, hosts=hosts, command=f"sleep {sleepers.seconds}"
        )
    assert outcome.stats["terminated"] == "verified"
    assert outcome.stats["hosts"] == 2
    assert sleepers() == []


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15])
async def test_a_cancel_at_the_very_start_leaves_nothing(agent: Any, sleepers: Sleepers, after: float) -> None:
    command = f"env -i setsid sh -c 'sleep {sleepers.seconds} &' {NO_PIPE}; sleep {sleepers.seconds}"
    call = asyncio.ensure_future(agent.run(command=command))
    await asyncio.wait({call}, timeout=after)
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        outcome = await call
        assert outcome.stats["terminated"] == "verified", outcome.details
    await asyncio.sleep(0.5)
    assert sleepers() == []


async def test_a_start_that_is_canceled_half_way_is_known_to_have_come_to_nothing(
    agent: Any, sleepers: Sleepers
) -> None:
    """Contract §3: "`stats.terminated` is `verified`". All of the pause is the start's: the connection is kept."""
    await agent.run(command="true")
    terminated: list[Any] = []
    pause = 0.0
    while len(terminated) < 5:
        call = asyncio.ensure_future(agent.run(command=f"sleep {sleepers.seconds}"))
        await asyncio.sleep(pause)
        call.cancel()
        pause = 1.05 * pause + 0.0003  # on a slow machine a start takes longer, too
        with contextlib.suppress(asyncio.CancelledError):
            terminated.append((await call).stats["terminated"])
    assert set(terminated) == {"verified"}
    assert sleepers() == []


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
async def test_what_had_not_begun_at_a_cancel_never_begins(
    open_agent: Any, ssh_keys: Path, sleepers: Sleepers, tmp_path: Path, after: float
) -> None:
    """On a host that takes its time until it starts what it was asked for."""
    as_root("only root can give a user another login shell")
    shell, mark = tmp_path / "shell", tmp_path / "begun"
    shell.write_text('#!/bin/sh\nsleep 2\necho slowly\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    root = Account(name="root", uid=0, shell=str(shell))
    with required(Sshd(authorized=[(ssh_keys / "login.pub").read_text()], accounts=[root])) as server:
        (tmp_path / "known").write_text(server.known_hosts())
        async with open_agent(known_hosts=str(tmp_path / "known")) as agent:
            with contextlib.suppress(asyncio.CancelledError):
                await agent.run_and_cancel(after, port=server.port, command=f"touch {mark}; sleep {sleepers.seconds}")
            asked = await agent.run(port=server.port, command="echo here")  # takes as long, and was asked for later
    assert asked.value == "here"
    assert not mark.exists()


def test_processes_are_terminated_before_the_engine_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is what ``within`` takes at most to cancel what is late."""
    monkeypatch.undo()  # what the other tests get more of
    assert command_run.EXIT_SECONDS < command_run.STOP_SECONDS
    assert command_run.STOP_SECONDS + 0.5 < CANCEL_GRACE
