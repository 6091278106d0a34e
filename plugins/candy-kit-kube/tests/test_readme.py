"""The README's example is a working backend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from candy_core import Absent, Rule, RuleBackendSpec, RuleRef, Version, params_reader, to_json
from candy_core.testing.context import plugin_context
from candy_kit_kube import ClusterSettings

README = Path(__file__).resolve().parents[1] / "README.md"


async def test_a_third_rule_backend_is_one_class_and_its_mapping(
    third: Any, kube_cluster: Any, kube_namespace: str
) -> None:
    """Contract §5: `type`: integrators add more."""
    example: dict[str, Any] = {"__name__": "third_rule_plugin"}
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    exec(compile(code[1], str(README), "exec", dont_inherit=True), example)
    (spec,) = example["candy_rule_backends"]()
    assert isinstance(spec, RuleBackendSpec)
    third("name", labels={"type": "object", "additionalProperties": {"type": "string"}})
    settings = params_reader.read({"kubeconfig": str(kube_cluster.kubeconfig)}, ClusterSettings)
    assert spec.group is not None
    group = params_reader.read({"name": "g", "expr": "up", "labels": {"team": "x"}}, spec.group)
    ref = RuleRef(name="ThirdRule", namespace=kube_namespace)
    async with spec.open(plugin_context("third"), settings) as backend:
        assert spec.check is not None
        assert (await spec.check(backend)).ok
        empty = Rule(ref=ref, groups=({"name": "g", "expr": " "},))
        assert [problem.path for problem in await backend.validate(empty)] == ["$.groups[0].expr"]
        written: Any = to_json(group, drop_none=True)
        rule = Rule(ref=ref, groups=(written,))
        made = await backend.apply(rule, Absent(), dry_run=False)
        assert (await backend.get(ref)).rule == rule
        assert (await backend.delete(ref, Version(made.version), dry_run=False)).rule == rule
