"""What the plugin announces, its classes compared with the CustomResourceDefinition, and rule files in a cluster."""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import pytest

from candy_prometheusrule import plugin
from candy_testbed.rule_plugin_suite import RulePluginSuite, refusals


class TestPlugin(RulePluginSuite):
    module: ClassVar[ModuleType] = plugin
    entry_point = "prometheusrule"
    files = "prometheus"
    definition = "monitoring.coreos.com_prometheusrules"
    api_version = "monitoring.coreos.com/v1"
    kind = "PrometheusRule"


def test_one_backend_with_all_names_of_the_contract() -> None:
    """Contract §5: "``prometheus`` | PrometheusRule … ``victoriaMetrics`` or ``vm`` | VMRule …"."""
    [spec] = plugin.candy_rule_backends()
    assert (spec.name, spec.aliases, spec.wire_name) == ("prometheus", (), None)


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ({"name": "g", "partial_response_strategy": "maybe"}, "$.partial_response_strategy"),
        ({"name": "g", "rules": [], "concurrency": 2}, "$.concurrency"),
    ],
)
def test_invalid_and_unknown_fields_are_rejected(group: Any, path: str) -> None:
    [spec] = plugin.candy_rule_backends()
    assert refusals(spec, group) == [path]
