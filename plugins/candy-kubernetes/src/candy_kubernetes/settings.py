"""The settings of the plugin ``kubernetes``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from attrs import field, frozen

from candy_core import HttpUrl, Meta, Secret
from candy_kit_kube import ClusterSettings
from candy_kit_promql import MetricSettings

_DISKS: Final = '{fstype=~"ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs"}'
"""The file systems on a node's own disks: no tmpfs, no overlays, no network file systems that many nodes share."""
_USED: Final = f"node_filesystem_size_bytes{_DISKS} - node_filesystem_free_bytes{_DISKS}"
CPU: Final = '100 * (1 - sum(rate(node_cpu_seconds_total{mode="idle"}[5m])) / sum(rate(node_cpu_seconds_total[5m])))'
MEMORY: Final = "100 * (1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes))"
DISK: Final = (
    f"100 * sum(max by (instance, device) ({_USED}))"
    f" / sum(max by (instance, device) ({_USED} + node_filesystem_avail_bytes{_DISKS}))"
)
"""As in ``df``: the used share of used plus available space. Each disk counts once, however often it is mounted."""

Query = Annotated[str, Meta(min_length=1, max_length=100_000)]


@frozen(kw_only=True)
class KubernetesSettings(ClusterSettings):
    """The cluster, and a Prometheus for figures of the heartbeat that the cluster does not provide.

    ``prometheus_…`` are the settings of a datasource as in the plugin ``prometheus``; without ``prometheus_url`` no
    Prometheus is queried. The queries return percentages; the default ones need node exporters.
    """

    prometheus_url: HttpUrl | None = None
    prometheus_bearer_token: Secret | None = None
    prometheus_bearer_token_file: Path | None = None
    prometheus_username: str | None = None
    prometheus_password: Secret | None = None
    prometheus_password_file: Path | None = None
    prometheus_ca_file: Path | None = None
    cpu_query: Query = field(default=CPU, repr=False)
    memory_query: Query = field(default=MEMORY, repr=False)
    disk_query: Query = field(default=DISK, repr=False)

    def __attrs_post_init__(self) -> None:
        self.prometheus()

    def prometheus(self) -> MetricSettings:
        """The settings of the datasource. Raises ``Mismatch`` for contradictory ones."""
        return MetricSettings(
            url=self.prometheus_url,
            bearer_token=self.prometheus_bearer_token,
            bearer_token_file=self.prometheus_bearer_token_file,
            username=self.prometheus_username,
            password=self.prometheus_password,
            password_file=self.prometheus_password_file,
            ca_file=self.prometheus_ca_file,
            timeout=self.timeout,
        )
