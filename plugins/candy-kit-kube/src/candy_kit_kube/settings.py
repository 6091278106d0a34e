"""The settings of a plugin that talks to Kubernetes, and the environment in which a cluster is found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from attrs import Factory, field, frozen

from candy_core import Meta


@frozen(kw_only=True)
class ClusterSettings:
    """Which cluster to use, and how. Base class of the settings of a plugin for Kubernetes.

    ``kubeconfig`` is a file, and ``context`` one of its contexts; without them ``KUBECONFIG`` (files separated by
    colons), ``~/.kube/config`` and the service account of a pod are tried in this order (contract section 7).
    ``timeout`` is in seconds and bounds each call, including the wait for a request slot. ``max_concurrent`` is the
    number of request slots; watches need none.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    timeout: Annotated[float, Meta(gt=0, le=300)] = 10.0
    max_concurrent: Annotated[int, Meta(ge=1, le=256)] = 16


@frozen(kw_only=True)
class Environment:
    """What decides which cluster is found: the environment variables, the home folder, the pod's service account."""

    environ: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    home: Path = Factory(Path.home)
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """The folder with ``token`` and ``ca.crt`` that Kubernetes mounts into a pod."""
