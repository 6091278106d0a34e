"""Starts a command many times, in the plain way. A program: ``COUNT CONCURRENCY ARGV…``; prints seconds.

On asyncio's own loop: with uvloop, which the agent runs on, the same takes five times as long.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence


async def start(count: int, concurrency: int, argv: Sequence[str]) -> float:
    """Both streams of each are read to their end; seconds for all."""
    waiting = iter(range(count))

    async def work() -> None:
        for _ in waiting:
            child = await asyncio.create_subprocess_exec(
                *argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            output, _ = await child.communicate()
            if child.returncode or not output:
                raise RuntimeError(f"{' '.join(argv)} failed: {child.returncode}")

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return time.perf_counter() - began


if __name__ == "__main__":
    print(asyncio.run(start(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
