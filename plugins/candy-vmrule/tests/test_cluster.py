"""Rule files as VMRule objects of a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from candy_testbed import KubeCluster
from candy_testbed.rule_files import rule_file_id, rule_files
from candy_testbed.rule_plugin import kept
from candy_vmrule import plugin
from candy_vmrule.groups import VMGroup

from candy_core import Rule, RuleRef, params_reader, to_json


def canonical(file: Path) -> tuple[Any, ...]:
    written = yaml.load(file.read_text(), yaml.BaseLoader)["groups"]
    return tuple(to_json(params_reader.read(group, VMGroup), drop_none=True) for group in written)


@pytest.mark.parametrize("file", rule_files("victoriametrics"), ids=rule_file_id)
async def test_a_rule_file_is_kept_as_it_is_with_the_labels_of_the_settings(
    kube_cluster: KubeCluster, kube_namespace: str, file: Path
) -> None:
    """Every field of the definition goes there and comes back; the operator's ``ruleSelector`` finds the object."""
    [spec] = plugin.candy_rule_backends()
    rule = Rule(ref=RuleRef(name=f"File {file.stem}", namespace=kube_namespace), groups=canonical(file))
    stored, problems = await kept("vmrule", spec, kube_cluster, rule, labels={"release": "stack"})
    assert problems == []
    assert stored.rule.groups == rule.groups
    api = kube_cluster.api
    there = api.request(
        "GET", api.path("operator.victoriametrics.com/v1beta1", "VMRule", f"file-{file.stem}", namespace=kube_namespace)
    )
    assert there["metadata"]["labels"] == {"release": "stack", "app.kubernetes.io/managed-by": "candy-agent"}
