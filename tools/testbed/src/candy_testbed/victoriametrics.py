"""VictoriaMetrics, as a single node."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import ClassVar

from candy_testbed.metric_server import MetricServer, Targets, scrape_configs
from candy_testbed.server import DIRECT, answers


class VictoriaMetrics(MetricServer):
    """Debian's VictoriaMetrics, with a storage of its own that ends with it.

    It scrapes ``scrape``, and itself under the job ``victoriametrics`` unless ``itself`` is false, every ``interval``
    seconds. ``arguments`` go to the command line.
    """

    program: ClassVar[str] = "victoria-metrics"
    package: ClassVar[str] = "victoria-metrics"
    query_params: ClassVar[Mapping[str, str]] = {"nocache": "1"}  # without it the last seconds are hidden

    def __init__(
        self,
        *,
        scrape: Targets | None = None,
        itself: bool = True,
        interval: float = 1.0,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(env=env)
        self._scrape = dict(scrape or {})
        self._itself = itself
        self._interval = interval
        self._arguments = tuple(arguments)

    def command(self) -> Sequence[str]:
        """Writes the file that says what it scrapes, since it may name the server's own port."""
        targets: dict[str, Sequence[str]] = dict(self._scrape)
        if self._itself:
            targets["victoriametrics"] = [self.address]
        milliseconds = f"{round(self._interval * 1000)}ms"
        path = self.folder / "scrape.yml"
        # JSON is YAML.
        path.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": milliseconds, "scrape_timeout": milliseconds},
                    "scrape_configs": scrape_configs(targets),
                }
            )
        )
        return [
            f"-promscrape.config={path}",
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr={self.address}",
            "-loggerLevel=WARN",
            "-memory.allowedBytes=128MB",
            *self._arguments,
        ]

    def ready(self) -> bool:
        """Whether its health endpoint answers with a 2xx."""
        return answers(f"{self.url}/health")

    def write(self, lines: str, timeout: float = 30.0) -> None:
        """Add samples, in the text format of Prometheus' ``/metrics``; a line may end with its time in milliseconds.

        They are found a second later: ``wait_until`` waits for them.
        """
        request = urllib.request.Request(f"{self.url}/api/v1/import/prometheus", data=lines.encode())
        with DIRECT.open(request, timeout=timeout):
            pass
