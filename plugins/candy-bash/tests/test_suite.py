"""The suite that every executor must pass."""

from __future__ import annotations

import pytest

from candy_bash import plugin
from candy_core import Json, Reason
from candy_core.testing.executor import Case, ExecutorSuite, Oversized, Subject

ALL = 100_000_000
CUT = f"{ALL - 16 * 1024} more were not kept"


def runs(command: str, **more: Json) -> dict[str, Json]:
    return {"command": command, **more}


class TestBash(ExecutorSuite):
    @pytest.fixture
    def subject(self) -> Subject:
        [spec] = plugin.candy_executors()
        return Subject(
            plugin="bash",
            spec=spec,
            settings={"allow_command": True, "grace": 0.3},
            ordinary=[
                Case(params=runs("echo 7", threshold="80"), value="7"),
                Case(params={"template": "uptime", "threshold": 1e12}),
                Case(params=runs("echo it is WRONG", threshold="WRONG"), reason=Reason.OUTPUT_MATCHED),
                Case(params=runs("(setsid sleep 600 &); echo left"), value="left"),
            ],
            failures=[
                Case(params={}, reason=Reason.BAD_PARAMS),
                Case(params=runs("echo 7", template="uptime"), reason=Reason.BAD_PARAMS),
                Case(params={"template": "nothing"}, reason=Reason.BAD_PARAMS, matches="uptime"),
                Case(params={"template": "disk_usage", "args": {"path": "/../etc"}}, reason=Reason.BAD_PARAMS),
                Case(params=runs("exit 3"), reason=Reason.EXIT_CODE),
                Case(params=runs("nothing-of-that-name"), reason=Reason.EXIT_CODE),
                Case(params=runs("kill -9 $$"), reason=Reason.EXIT_CODE),
            ],
            endless=[
                runs("sleep 600"),
                runs("trap '' TERM HUP INT; while :; do sleep 1; done"),
                runs("setsid nohup sleep 600 & sleep 600"),
                runs("(env -i setsid sh -c 'sleep 600 & sleep 600' &); sleep 600"),
            ],
            oversized=[
                Oversized(params=runs(f"head -c {ALL} /dev/zero"), seconds=30.0, matches=CUT),
                Oversized(params=runs(f"head -c {ALL} /dev/urandom"), seconds=30.0, matches="were not kept"),
                Oversized(
                    params=runs(f"head -c {ALL} /dev/zero >&2; exit 1"),
                    seconds=30.0,
                    reason=Reason.EXIT_CODE,
                    matches=CUT,
                ),
                Oversized(params=runs("exec cat /dev/zero"), reason=Reason.TIMEOUT, seconds=2.0),
            ],
            numbered=lambda number: Case(params=runs(f"echo {number}"), value=str(number)),
            may_block=[("candy_bash/launch.py", "_fork")],  # from fork to exec, as long as asyncio blocks too
        )
