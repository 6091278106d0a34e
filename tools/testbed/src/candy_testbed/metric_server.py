"""The base class of servers with Prometheus' query API."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from candy_testbed.server import DIRECT, LoopbackServer, NotReady

Targets = Mapping[str, Sequence[str]]
"""Job name to ``host:port`` of what it scrapes."""


def scrape_configs(targets: Targets) -> list[dict[str, Any]]:
    """The section ``scrape_configs`` of a configuration file."""
    return [{"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()]


class MetricServer(LoopbackServer):
    """A server that answers queries; a test can wait until it has the data that the test needs."""

    query_params: ClassVar[Mapping[str, str]] = {}
    """Further parameters of every query."""

    def query(self, expression: str, timeout: float = 30.0) -> list[dict[str, Any]]:
        """The series of an instant query, as the API gives them; for waiting and for comparing in tests."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression, **self.query_params})}"
        with DIRECT.open(address, timeout=timeout) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def wait_until(
        self, expression: str, holds: Callable[[list[dict[str, Any]]], bool] = bool, timeout: float = 120.0
    ) -> list[dict[str, Any]]:
        """Query until ``holds`` is true for the series (by default: until there are any); returns them."""
        deadline = time.monotonic() + timeout
        while not holds(found := self.query(expression)):
            if time.monotonic() > deadline:
                raise NotReady(f"{self.program}: {expression} was still {found} after {timeout:g} s")
            time.sleep(0.1)
        return found

    def wait_until_up(self, targets: int, timeout: float = 120.0) -> None:
        """Wait until that many targets were scraped successfully."""
        self.wait_until("up == 1", lambda found: len(found) >= targets, timeout)
