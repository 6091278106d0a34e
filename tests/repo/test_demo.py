"""``make demo`` works: what a newcomer tries first."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

from candy_testbed import NodeExporter, Prometheus, VictoriaMetrics
from candy_testbed.fixtures import required

IGNORING_CTRL_C = ("env", "--ignore-signal=INT")
"""As a shell without job control starts what goes to the background."""
WIDE = os.environ | {"COLUMNS": "200", "LC_ALL": "zh_CN.UTF-8"}
ENGLISH = WIDE | {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "C.UTF-8"}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_the_demo_inspects_this_machine_and_leaves_nothing_behind() -> None:
    with required(NodeExporter()), required(Prometheus(itself=False)), required(VictoriaMetrics(itself=False)):
        pass
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "candy_demo", env=WIDE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await asyncio.wait_for(demo.communicate(), 60))[0].decode()
    assert demo.returncode == 0, output
    assert "✗" not in output
    assert "CPU使用率检查" in output
    assert "victoriaMetrics" in output
    assert "所有节点的值都在阈值" in output or "超过阈值" in output
    assert not re.search(r"[0-9]\.[0-9]{4,}", output), "a value with more digits than anybody reads"
    assert "signature verified" in output


async def test_a_running_one_goes_on_until_ctrl_c_and_takes_its_servers_along() -> None:
    with required(NodeExporter()), required(Prometheus(itself=False)), required(VictoriaMetrics(itself=False)):
        pass
    demo = await asyncio.create_subprocess_exec(
        *IGNORING_CTRL_C, sys.executable, "-m", "candy_demo", "--keep", env=ENGLISH,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert demo.stdout is not None
    output = ""
    try:
        async with asyncio.timeout(60):
            while "Ctrl-C stops everything." not in output:
                line = await demo.stdout.readline()
                assert line, output
                output += line.decode()
        assert re.search(r"^AGENT=127\.0\.0\.1:\d+ KEY=\S+$", output, re.MULTILINE)
        assert "CPU usage" in output
        assert not re.search("[\u4e00-\u9fff]", output), "headings and names in one language"
        assert re.search(r"curl -sS http://127\.0\.0\.1:\d+/api/v1/task", output)
        started = children_of(demo.pid)
        assert len(started) == 4
        demo.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(demo.wait(), 45) == 0
        assert all(gone(pid) for pid in started)
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
