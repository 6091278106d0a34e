"""An agent in a cluster, with the rights that its manifests give it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from candy_testbed import KubeCluster

from .rights import Rights, rights_of_manifests


@pytest.fixture
async def rights(kube_cluster: KubeCluster, tmp_path: Path) -> AsyncIterator[Rights]:
    """The manifests' ServiceAccount and roles, in the cluster for this test."""
    with rights_of_manifests(kube_cluster, tmp_path) as given:
        await given.until_given()
        yield given


@pytest.fixture
def in_cluster(rights: Rights) -> Mapping[str, str]:
    """The environment of an agent that is its manifests' ServiceAccount."""
    return rights.env
