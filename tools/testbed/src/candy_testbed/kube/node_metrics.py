"""What a metrics server gives: ``/apis/metrics.k8s.io/v1beta1/nodes``, here kept by the API server itself."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from candy_testbed.kube.api import ApiError
from candy_testbed.kube.cluster import KubeCluster
from candy_testbed.server import NotReady

_NAME = "nodes.metrics.k8s.io"
_PATH = "/apis/metrics.k8s.io/v1beta1/nodes"
_DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": _NAME,
        "annotations": {"api-approved.kubernetes.io": "unapproved, stands in for a metrics server"},
    },
    "spec": {
        "group": "metrics.k8s.io",
        "scope": "Cluster",
        "names": {"plural": "nodes", "kind": "NodeMetrics", "listKind": "NodeMetricsList", "singular": "nodemetrics"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class NodeMetrics:
    """A context manager: while it lasts, a cluster serves the node usage that :meth:`set_usage` set.

    A definition of a custom resource gives the very paths and objects that the aggregated API of a metrics server has.
    """

    def __init__(self, cluster: KubeCluster, timeout: float = 120.0) -> None:
        self._cluster = cluster
        self._timeout = timeout

    def __enter__(self) -> Self:
        self._cluster.api.apply(_DEFINITION)
        self._until(served=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._cluster.ensure_running()
        self._cluster.api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", _NAME)
        self._until(served=False)

    def set_usage(self, node: str, **usage: str) -> None:
        """``cpu="250m"``, ``memory="4Gi"``: what a node uses, whether or not there is such a node."""
        body = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "NodeMetrics", "metadata": {"name": node}}
        self._cluster.api.request("POST", _PATH, {**body, "usage": usage})

    def _until(self, *, served: bool) -> None:
        deadline = time.monotonic() + self._timeout
        while self._served() is not served:
            if time.monotonic() > deadline:
                raise NotReady(f"the cluster {'does not serve' if served else 'still serves'} {_PATH}")
            time.sleep(0.05)

    def _served(self) -> bool:
        try:
            self._cluster.api.request("GET", _PATH)
        except ApiError:
            return False
        return True
