"""Prometheus and its node exporter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from candy_testbed.metric_server import MetricServer, Targets, scrape_configs
from candy_testbed.server import LoopbackServer, answers


class NodeExporter(LoopbackServer):
    """Debian's node exporter: this machine's CPU, memory, file systems and load."""

    program: ClassVar[str] = "prometheus-node-exporter"
    package: ClassVar[str] = "prometheus-node-exporter"
    collectors: ClassVar[tuple[str, ...]] = ("cpu", "filesystem", "loadavg", "meminfo", "uname")

    def command(self) -> Sequence[str]:
        """Only the collectors that something asks for."""
        chosen = [f"--collector.{name}" for name in self.collectors]
        return [f"--web.listen-address={self.address}", "--collector.disable-defaults", *chosen]

    def ready(self) -> bool:
        """Whether it shows metrics."""
        return answers(f"{self.url}/metrics")


class Prometheus(MetricServer):
    """Debian's Prometheus, with a storage of its own that ends with it.

    It scrapes ``scrape``, and itself under the job ``prometheus`` unless ``itself`` is false, every ``interval``
    seconds. ``config`` replaces the whole configuration file. ``arguments`` go to the command line.
    """

    program: ClassVar[str] = "prometheus"
    package: ClassVar[str] = "prometheus"

    def __init__(
        self,
        *,
        scrape: Targets | None = None,
        itself: bool = True,
        interval: float = 1.0,
        retention: str = "1h",
        config: str | None = None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(env=env)
        self._scrape = dict(scrape or {})
        self._itself = itself
        self._interval = interval
        self._retention = retention
        self._config = config
        self._arguments = tuple(arguments)

    def command(self) -> Sequence[str]:
        """Writes the configuration file, since it may name the server's own port."""
        path = self.folder / "prometheus.yml"
        path.write_text(self._config if self._config is not None else self._configuration())
        return [
            f"--config.file={path}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--storage.tsdb.retention.time={self._retention}",
            f"--web.listen-address={self.address}",
            "--log.level=warn",
            *self._arguments,
        ]

    def _configuration(self) -> str:
        targets: dict[str, Sequence[str]] = dict(self._scrape)
        if self._itself:
            targets["prometheus"] = [self.address]
        milliseconds = f"{round(self._interval * 1000)}ms"
        # JSON is YAML.
        return json.dumps(
            {
                "global": {
                    "scrape_interval": milliseconds,
                    "scrape_timeout": milliseconds,
                    "evaluation_interval": milliseconds,
                },
                "scrape_configs": scrape_configs(targets),
            }
        )

    def ready(self) -> bool:
        """Whether its health endpoint answers with a 2xx."""
        return answers(f"{self.url}/-/ready")
