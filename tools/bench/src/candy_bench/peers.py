"""parallel-ssh and clush: what others run commands on many hosts with, in an environment of their own."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from attrs import asdict, frozen

from candy_bench.findings import NotMeasured
from candy_bench.fleet import Fleet

_SET_UP = Path(__file__).resolve().parents[2] / "peers.sh"
_PROGRAM = Path(__file__).with_name("parallel_ssh.py")


@frozen(kw_only=True)
class Order:
    """What :mod:`candy_bench.parallel_ssh` is told. ``fresh``: it connects anew for each run."""

    hosts: Sequence[str]
    ports: Sequence[int]
    user: str
    key: str
    command: str
    runs: int
    fresh: bool


@frozen(kw_only=True)
class Peers:
    """The environment's folder."""

    folder: Path

    @classmethod
    async def make(cls) -> Peers:
        """Install them, where that has not been done. Raises :class:`NotMeasured` where it cannot be."""
        try:
            output = await _output([str(_SET_UP)])
        except (OSError, RuntimeError) as error:
            raise NotMeasured(f"parallel-ssh and clush could not be installed: {error}") from None
        return cls(folder=Path(output.decode().strip()))

    async def parallel_ssh(self, fleet: Fleet, runs: int, *, fresh: bool) -> float:
        """As a library, in a process that is told once; its own start is not counted. Seconds a command."""
        order = Order(
            hosts=fleet.hosts,
            ports=fleet.ports,
            user=fleet.user,
            key=str(fleet.key),
            command=fleet.command,
            runs=runs,
            fresh=fresh,
        )
        output = await _output([self._program("python"), str(_PROGRAM)], orjson.dumps(asdict(order)))
        seconds: float = orjson.loads(output)["seconds"]
        return seconds / (runs * len(fleet.hosts))

    async def clush(self, fleet: Fleet, runs: int) -> float:
        """A process for each run, as somebody at a shell would; its start is counted. Seconds a command."""
        count = len(fleet.hosts)
        line = [
            *(self._program("clush"), "-n", "-N", "-q", "-S", "-f", str(count), "-w", ",".join(fleet.aliases)),
            *("-o", f"-F {fleet.ssh_config}", fleet.command),
        ]
        began = time.perf_counter()
        for _ in range(runs):
            output = await _output(line)
            if len(output.splitlines()) != count:
                raise RuntimeError(f"clush: {count} hosts should have answered: {output[:500]!r}")
        return (time.perf_counter() - began) / (runs * count)

    async def clush_start(self) -> float:
        """Seconds that it takes to say its version."""
        began = time.perf_counter()
        await _output([self._program("clush"), "--version"])
        return time.perf_counter() - began

    def _program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


async def _output(line: Sequence[str], given: bytes = b"") -> bytes:
    """What a program writes. Raises ``RuntimeError`` with its last words where it fails."""
    child = await asyncio.create_subprocess_exec(
        *line, stdin=subprocess.PIPE if given else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    stdout, stderr = await child.communicate(given or None)
    if child.returncode:
        words = (stderr or stdout).decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{Path(line[0]).name} failed ({child.returncode}): {' / '.join(words)}")
    return stdout
