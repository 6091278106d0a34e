"""Other tools that query Prometheus: prometheus-api-client from Python, promtool from a shell."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_api_client import PrometheusConnect

from candy_bench.findings import NotMeasured

POOL = 10
"""Threads beyond the connections that its session keeps would open a new one for each query."""


def library(url: str, queries: Sequence[str], threads: int) -> float:
    """prometheus-api-client, one query after the other or in threads that share its session; seconds a query."""
    client = PrometheusConnect(url=url)

    def ask(query: str) -> None:
        if not client.custom_query(query):
            raise RuntimeError(f"Prometheus has nothing for {query}")

    began = time.perf_counter()
    if threads == 1:
        for query in queries:
            ask(query)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(ask, queries):
                pass
    return (time.perf_counter() - began) / len(queries)


async def promtool(url: str, queries: Sequence[str], processes: int) -> float:
    """``promtool query instant`` through ``xargs -P``, a process for each query; seconds a query."""
    program = shutil.which("promtool")
    if program is None:
        raise NotMeasured("promtool is not installed: it comes with Debian's prometheus")
    began = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        "xargs", "-P", str(processes), "-d", "\n", "-n", "1", program, "query", "instant", url,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    await child.communicate("\n".join(queries).encode())
    if child.returncode:
        raise RuntimeError(f"promtool failed: {child.returncode}")
    return (time.perf_counter() - began) / len(queries)


async def best_threads(url: str, choices: Sequence[int], queries: Sequence[str]) -> int:
    """The number of threads at which the library is fastest here."""
    times = {choice: await asyncio.to_thread(library, url, queries, choice) for choice in choices}
    return min(times, key=times.__getitem__)


async def best_processes(url: str, choices: Sequence[int], queries: Sequence[str]) -> int:
    """The number of processes at which promtool is fastest here."""
    times = {choice: await promtool(url, queries, choice) for choice in choices}
    return min(times, key=times.__getitem__)
