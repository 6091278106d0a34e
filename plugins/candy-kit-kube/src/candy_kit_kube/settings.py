"""What a plugin that talks to Kubernetes is told, and where it looks for a cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen
from msgspec import Meta


@frozen(kw_only=True)
class ClusterSettings:
    """Which cluster, and how much is asked of it at once. Base class of the settings of a plugin for Kubernetes.

    ``kubeconfig`` is a file, and ``context`` one of its contexts; without them ``KUBECONFIG`` (several files, joined by
    colons), ``~/.kube/config`` and the service account of a pod are tried in this order (contract section 7).
    ``timeout`` is in seconds and bounds each call as a whole, the waiting for its turn among it. ``max_concurrent``
    bounds the requests under way at one time; watches do not count.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    timeout: Annotated[float, Meta(gt=0, le=300)] = 10.0
    max_concurrent: Annotated[int, Meta(ge=1, le=256)] = 16


@frozen(kw_only=True)
class Surroundings:
    """What of the machine decides which cluster is found: the environment, the home folder, the pod's account."""

    environ: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    home: Path = Factory(Path.home)
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with ``token`` and ``ca.crt``, where Kubernetes mounts it into a pod."""
