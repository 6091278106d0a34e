"""How a command runs: its environment, its output, and its exit."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from candy_core import Locale

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="running commands as another user requires root")


async def test_exit_codes_and_signals(agent: Any) -> None:
    """Contract §3: 'exit 0 is `normal`, else `failed`/`exit_code`'."""
    good = await agent.run("echo well")
    assert (good.status, good.reason, good.value, good.message) == ("normal", "ok", "well", "")
    bad = await agent.run("echo ill >&2; exit 7")
    assert (bad.status, bad.reason, bad.stats["exit_code"]) == ("failed", "exit_code", 7)
    assert bad.message == "The command exited with code 7: ill"
    shot = await agent.run("kill -SEGV $$")
    assert (shot.status, shot.reason, shot.stats["signal"]) == ("failed", "exit_code", "SIGSEGV")


async def test_a_nagios_plugin(agent: Any) -> None:
    """Contract §3: 'with `"nagios":"true"` 1 is `warning`, 2 `critical`, 3 and above `failed`'."""
    for code, status in ((0, "normal"), (1, "warning"), (2, "critical"), (3, "failed"), (127, "failed")):
        outcome = await agent.run({"command": f"echo 'DISK | /=5%;80'; exit {code}", "nagios": "true"})
        assert outcome.status == status
        assert outcome.stats["perfdata"] == {"/": {"value": 5.0, "unit": "%", "warn": "80"}}


async def test_thresholds(agent: Any) -> None:
    assert (await agent.run({"command": "echo 85", "threshold": "80", "critical": 90})).status == "warning"
    assert (await agent.run({"command": "echo 95", "threshold": "80", "critical": 90})).status == "critical"
    assert (await agent.run({"command": "echo many", "threshold": "80"})).reason == "not_a_number"
    assert (await agent.run({"command": "echo disk FAILED", "threshold": "FAILED"})).reason == "output_matched"


async def test_the_environment_is_clean_and_marked(agent: Any, open_agent: Any, monkeypatch: Any) -> None:
    """No secret is in an environment that a child inherits."""
    monkeypatch.setenv("CANDY_API_KEY", "s3cret")
    # With exec, the variables that bash sets by itself are missing.
    seen = dict(line.split("=", 1) for line in (await agent.run("exec env")).details.splitlines() if "=" in line)
    assert set(seen) - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LANG", "CANDY_RUN"}
    assert len(seen["CANDY_RUN"]) == 32
    again = (await agent.run("echo $CANDY_RUN")).value
    assert again != seen["CANDY_RUN"]
    async with open_agent(env={"TZ": "Asia/Shanghai"}, path="/usr/bin:/bin") as with_extras:
        assert (await with_extras.run("echo $TZ $PATH")).value == "Asia/Shanghai /usr/bin:/bin"


async def test_directory_umask_stdin_and_descriptors(open_agent: Any, tmp_path: Path) -> None:
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        async with open_agent(cwd=str(tmp_path), umask="0077") as agent:
            assert (await agent.run("pwd")).value == str(tmp_path)
            assert (await agent.run("umask")).value == "0077"
            assert (await agent.run("readlink /proc/self/fd/0; wc -c")).details.endswith("Stdout:\n/dev/null\n0")
            # 3 is the directory that ls reads.
            assert (await agent.run("ls /proc/self/fd | tr '\\n' ' '")).value == "0 1 2 3"
    finally:
        os.close(held)


async def test_a_command_leads_its_own_session_and_group(agent: Any) -> None:
    outcome = await agent.run("set -- $(cat /proc/$$/stat); echo $1 $5 $6")
    pid, group, session = outcome.value.split()
    assert pid == group == session
    assert int(session) != os.getsid(0)


async def test_limits(open_agent: Any) -> None:
    limits = {"cpu": 1, "memory": 400_000_000, "files": 64, "processes": 500}
    async with open_agent(limits=limits) as agent:
        shown = (await agent.run("cat /proc/self/limits")).details
        for line in ("Max cpu time 1 1", "Max address space 400000000 400000000", "Max open files 64 64"):
            assert line in " ".join(shown.split())
        assert "Max processes 500 500" in " ".join(shown.split())
        busy = await agent.run("while :; do :; done")
        assert busy.status == "failed"
        assert busy.stats["signal"] in ("SIGXCPU", "SIGKILL")
        assert (
            await agent.run("exec 3<>/dev/null; head -c 600000000 /dev/zero | tail -c 500000000")
        ).status == "failed"
        template = await agent.run({"template": "uptime"})
        assert template.status == "normal"


async def test_no_core_files_are_written(agent: Any) -> None:
    assert (await agent.run("ulimit -S -c")).value == "0"


def limits_of_mine() -> str:
    return Path("/proc/self/limits").read_text()


def descriptors_of_mine() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_the_agents_own_limits_stay_as_they_were(agent: Any) -> None:
    before = limits_of_mine()
    await asyncio.gather(*(agent.run("true") for _ in range(10)))
    assert limits_of_mine() == before


@needs_root
async def test_another_user(open_agent: Any) -> None:
    async with open_agent(user="nobody") as agent:
        assert (await agent.run("id -un; id -G")).details.endswith("Stdout:\nnobody\n65534")
        assert (await agent.run("cat /etc/shadow")).status == "failed"


async def test_output_is_cut_at_the_limit_and_this_is_reported(open_agent: Any) -> None:
    """Contract §3: 'Output is decoded leniently and cut at a limit, and the cut is reported'."""
    async with open_agent(limit=1000) as agent:
        outcome = await agent.run("yes x | head -c 5000000; echo e | head -c 1 >&2")
        assert outcome.status == "normal"
        assert outcome.stats["stdout_cut"] == 5_000_000 - 1000
        assert "the output was cut after 1000 bytes, 4999000 more were not kept" in outcome.details
        assert outcome.details.endswith("Stderr:\ne")


async def test_binary_output_is_made_readable(agent: Any) -> None:
    outcome = await agent.run(r"printf '\000\033[31m\377\303(ok)\r\n'")
    assert outcome.value == "␀␛[31m��(ok)"


async def test_endless_output_does_not_block_the_loop(agent: Any) -> None:
    call = asyncio.ensure_future(agent.run({"command": "cat /dev/zero"}))
    worst = 0.0
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        before = time.process_time()  # what this process does between two turns of the loop
        await asyncio.sleep(0.001)
        worst = max(worst, time.process_time() - before)
    assert worst < 0.2
    call.cancel()
    outcome = await call
    assert outcome.stats["stdout_cut"] > 1_000_000
    assert outcome.stats["terminated"] == "verified"
    assert len(outcome.details) < 100_000


async def test_a_text_is_found_in_output_that_is_not_kept(open_agent: Any) -> None:
    async with open_agent(limit=100) as agent:
        late = await agent.run({"command": "yes x | head -c 300000; echo FAILED", "threshold": "FAILED"})
        assert late.reason == "output_matched"


@pytest.mark.parametrize("locale", Locale)
async def test_a_missing_program(open_agent: Any, tmp_path: Path, locale: Locale) -> None:
    file = tmp_path / "templates.yaml"
    plain = tmp_path / "plain"
    plain.write_text("no program")
    file.write_text(f"templates: {{gone: {{argv: [no-such-program]}}, plain: {{argv: [{plain}]}}}}")
    for limits in ({}, {"files": 64}):
        async with open_agent(templates=str(file), limits=limits) as agent:
            gone = await agent.run({"template": "gone"}, locale=locale)
            assert (gone.status, gone.reason, gone.stats) == ("failed", "exit_code", {"exit_code": 127})
            assert "no-such-program" in gone.message
    async with open_agent(templates=str(file)) as agent:
        denied = await agent.run({"template": "plain"}, locale=locale)
        assert (denied.reason, denied.stats) == ("exit_code", {"exit_code": 126})


async def test_a_directory_that_has_disappeared_is_reported(open_agent: Any, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    async with open_agent(cwd=str(folder)) as agent:
        folder.rmdir()
        outcome = await agent.run("true")
        assert (outcome.status, outcome.reason) == ("failed", "bash_not_started")
        assert "No such file" in outcome.message


async def test_a_hundred_commands_run_at_once(agent: Any) -> None:
    before = descriptors_of_mine()
    outcomes = await asyncio.gather(*(agent.run(f"sleep 0.1; echo {number}") for number in range(100)))
    assert [outcome.value for outcome in outcomes] == [str(number) for number in range(100)]
    assert descriptors_of_mine() == before


async def test_the_same_under_uvloop(open_agent: Any) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with open_agent() as agent:
            outcomes = await asyncio.gather(*(agent.run(f"echo {number}; exit {number}") for number in range(40)))
            assert [outcome.stats["exit_code"] for outcome in outcomes] == list(range(40))
            own = await asyncio.create_subprocess_exec("sh", "-c", "exit 9")
            await agent.run("(setsid sleep 60 >/dev/null 2>&1 &)")
            assert await own.wait() == 9

    def in_another_thread() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(in_another_thread)
