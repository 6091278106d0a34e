"""What the plugin announces, its classes compared with the CustomResourceDefinition, and rule files in a cluster."""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

import pytest

from candy_testbed.rule_plugin_suite import RulePluginSuite, refusals
from candy_vmrule import plugin


class TestPlugin(RulePluginSuite):
    module: ClassVar[ModuleType] = plugin
    entry_point = "vmrule"
    files = "victoriametrics"
    definition = "operator.victoriametrics.com_vmrules"
    api_version = "operator.victoriametrics.com/v1beta1"
    kind = "VMRule"
    schema_differences = ("group.rules[]: required are [], and by our class ['expr']",)  # vmalert requires it


def test_one_backend_with_all_names_of_the_contract() -> None:
    """Contract §5: "``prometheus`` | PrometheusRule … ``victoriaMetrics`` or ``vm`` | VMRule …"."""
    [spec] = plugin.candy_rule_backends()
    assert (spec.name, spec.aliases, spec.wire_name) == (
        "victoriametrics",
        ("victoriaMetrics", "vm"),
        "victoriaMetrics",
    )


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ({"name": "g", "rules": [], "headers": ["no header"]}, "$.headers[0]"),
        ({"name": "g", "rules": [], "query_offset": "5m"}, "$.query_offset"),
    ],
)
def test_invalid_and_unknown_fields_are_rejected(group: Any, path: str) -> None:
    [spec] = plugin.candy_rule_backends()
    assert refusals(spec, group) == [path]
