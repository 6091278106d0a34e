"""Runs one command on many hosts with parallel-ssh. A program of the peers' environment, which has nothing of ours.

It reads an ``Order`` of :mod:`candy_bench.peers` as JSON, and writes the seconds that all runs took together.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pssh.clients import ParallelSSHClient  # type: ignore[import-not-found]  # of the peers' environment
from pssh.config import HostConfig  # type: ignore[import-not-found]  # as above


def client(order: dict[str, Any]) -> Any:
    """One client for all hosts at once: nothing of the caller's own account takes part."""
    return ParallelSSHClient(
        order["hosts"],
        user=order["user"],
        pkey=order["key"],
        pool_size=len(order["hosts"]),
        allow_agent=False,
        identity_auth=False,
        host_config=[HostConfig(port=port) for port in order["ports"]],
    )


def run(hosts: Any, order: dict[str, Any]) -> None:
    """The command, once on each host; every output is read."""
    outputs = hosts.run_command(order["command"], stop_on_errors=True)
    hosts.join(outputs)
    for output in outputs:
        lines = list(output.stdout)
        if not lines or output.exit_code not in (0, None):  # now and then it misses the code of a command that ran
            raise RuntimeError(f"{output.host}: {output.exit_code} {output.exception}")


def main() -> None:
    """Carry out the order."""
    order = json.load(sys.stdin)
    kept = client(order)
    if not order["fresh"]:
        run(kept, order)  # the connections
    began = time.perf_counter()
    for _ in range(order["runs"]):
        run(client(order) if order["fresh"] else kept, order)
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
