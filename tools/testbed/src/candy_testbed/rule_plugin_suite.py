"""What holds of every plugin that keeps rules in a cluster, beside the core's suite; a plugin's test subclasses it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml
from attrs import frozen

from candy_core import BackendUnavailable, Invalid, Rule, RuleBackendSpec, RuleRef, params_reader, to_json
from candy_core.testing.context import plugin_context
from candy_testbed.kube.cluster import KubeCluster
from candy_testbed.rule_files import rule_files
from candy_testbed.rule_plugin import group_schema, kept, schema_differences


class RulePluginSuite:
    """A subclass says which ``module`` is the plugin, by which entry point, and what its objects are."""

    module: ClassVar[ModuleType]
    entry_point: ClassVar[str]
    files: ClassVar[str]
    """Which of :func:`~candy_testbed.rule_files.rule_files` it must take."""
    definition: ClassVar[str]
    """The beginning of the file with its CustomResourceDefinition."""
    api_version: ClassVar[str]
    kind: ClassVar[str]
    schema_differences: ClassVar[tuple[str, ...]] = ()
    """Where its classes differ from the definition on purpose."""

    @pytest.fixture
    def spec(self) -> RuleBackendSpec[Any]:
        """What it announces."""
        [spec] = self.module.candy_rule_backends()
        assert isinstance(spec, RuleBackendSpec)
        return spec

    def test_the_entry_point_is_the_plugins_name(self) -> None:
        """By it the plugin is found, and its settings are named."""
        [found] = entry_points(group="candy", name=self.entry_point)
        assert found.load() is self.module

    def test_announcing_imports_no_client_and_no_parser(self) -> None:
        """Connect late: what is only listed costs little."""
        heavy = "{'aiohttp', 'kubernetes', 'promql_parser'}"
        code = f"import sys, {self.module.__name__}; sys.exit(bool({heavy} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_settings_as_the_environment_has_them(self, spec: RuleBackendSpec[Any]) -> None:
        """Labels and datasource as JSON."""
        written: Any = {
            "labels": '{"release": "kube-prometheus-stack", "example.com/team": ""}',
            "datasource": '{"url": "http://metrics:9090", "bearer_token_file": "/run/token"}',
        }
        found: Any = params_reader.read(written, spec.settings)
        assert found.labels == {"release": "kube-prometheus-stack", "example.com/team": ""}
        assert found.datasource.url == "http://metrics:9090"

    async def test_without_a_cluster_it_opens_checks_rules_and_says_what_it_lacks(
        self, spec: RuleBackendSpec[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Contract §7: "none of them: everything but Kubernetes works"; §5: 503 ``backend_unavailable``."""
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        assert spec.check is not None
        rule = Rule(ref=RuleRef(name="a"), groups=({"name": "g", "rules": [{"alert": "a", "expr": "", "for": "x"}]},))
        async with spec.open(plugin_context(self.entry_point), params_reader.read({}, spec.settings)) as backend:
            problems = await backend.validate(rule)
            assert [problem.path for problem in problems] == ["$.groups[0].rules[0].expr", "$.groups[0].rules[0].for"]
            with pytest.raises(BackendUnavailable):
                await backend.get(rule.ref)
            assert not (await spec.check(backend)).ok

    def test_the_classes_have_every_field_of_the_definition_and_no_other(self, spec: RuleBackendSpec[Any]) -> None:
        """A new version of the definition is noticed here."""
        assert tuple(schema_differences(spec.group, group_schema(self.definition))) == self.schema_differences

    def test_a_field_more_or_less_or_of_another_type_would_be_noticed(self) -> None:
        """The comparison itself sees something."""

        @frozen(kw_only=True)
        class Other:
            name: int
            rules: str | None = None
            surplus: str = ""

        found = "\n".join(schema_differences(Other, group_schema(self.definition)))
        for difference in (
            "group.interval: not in our class",
            "group.surplus: not in the def",
            "group.name: int for string",
        ):
            assert difference in found
        assert "group.rules: str for array" in found

    def test_rule_files_that_people_write_are_read_and_lose_nothing(self, spec: RuleBackendSpec[Any]) -> None:
        """Texts as they are written, numbers and flags as such."""
        for file in rule_files(self.files):
            typed = yaml.safe_load(file.read_text())["groups"]
            for written, by_type in zip(_texts(file), typed, strict=True):
                found: Any = _canonical(spec, written)
                assert found.keys() == written.keys(), file
                assert [rule.keys() for rule in found["rules"]] == [rule.keys() for rule in written["rules"]], file
                for rule, expected, right in zip(found["rules"], written["rules"], by_type["rules"], strict=True):
                    assert all(value in (expected[key], right[key]) for key, value in rule.items()), file
                for field in ("limit", "concurrency", "eval_alignment"):
                    assert found.get(field) == by_type.get(field), file

    def test_numbers_where_a_text_is_meant_are_taken_as_they_are_written(self, spec: RuleBackendSpec[Any]) -> None:
        """As an API server takes ``expr``: an integer or a string."""
        group = {"name": "g", "interval": 0, "rules": [{"record": "one", "expr": 1}]}
        found = {"name": "g", "interval": "0", "rules": [{"record": "one", "expr": "1"}]}
        assert _canonical(spec, group) == found

    @pytest.mark.parametrize(
        ("group", "path"),
        [
            ({"name": "", "rules": []}, "$.name"),
            ({"rules": []}, "$.name"),
            ({"name": "g", "rules": [{"alert": "a"}]}, "$.rules[0].expr"),
            ({"name": "g", "rules": [{"alert": "a", "expr": "up", "labels": {"a": 1}}]}, "$.rules[0].labels.a"),
            ({"name": "g", "rules": [], "limit": "many"}, "$.limit"),
            ({"name": "g", "rules": [{"alert": "a", "expr": "up", "severity": "x"}]}, "$.rules[0].severity"),
        ],
    )
    def test_what_no_definition_has_is_refused_by_name(self, spec: RuleBackendSpec[Any], group: Any, path: str) -> None:
        """Contract §1: unknown keys in a request are an error that names them."""
        assert refusals(spec, group) == [path]

    async def test_rule_files_are_kept_as_they_are_with_the_labels_of_the_settings(
        self, spec: RuleBackendSpec[Any], kube_cluster: KubeCluster, kube_namespace: str
    ) -> None:
        """Every field of the definition goes there and comes back; the operator's ``ruleSelector`` finds the object."""
        api = kube_cluster.api
        for file in rule_files(self.files):
            groups = tuple(_canonical(spec, group) for group in _texts(file))
            rule = Rule(ref=RuleRef(name=f"File {file.stem}", namespace=kube_namespace), groups=groups)
            stored, problems = await kept(self.entry_point, spec, kube_cluster, rule, labels={"release": "stack"})
            assert (problems, stored.rule.groups) == ([], groups)
            path = api.path(self.api_version, self.kind, f"file-{file.stem}", namespace=kube_namespace)
            labels = api.request("GET", path)["metadata"]["labels"]
            assert labels == {"release": "stack", "app.kubernetes.io/managed-by": "candy-agent"}

    async def test_a_large_rule_file_is_kept(
        self, spec: RuleBackendSpec[Any], kube_cluster: KubeCluster, kube_namespace: str
    ) -> None:
        """Up to the 512 KiB that the operators take (lessons: "A PrometheusRule may weigh 512 KiB")."""
        rules = [{"alert": f"A{n}", "expr": "up == 0", "for": "5m", "labels": {"n": f"{n}"}} for n in range(3000)]
        groups = (_canonical(spec, {"name": "g", "interval": "1m", "rules": rules}),)
        rule = Rule(ref=RuleRef(name="large", namespace=kube_namespace), groups=groups)
        stored, problems = await kept(self.entry_point, spec, kube_cluster, rule)
        assert (problems, stored.rule.groups) == ([], groups)


def refusals(spec: RuleBackendSpec[Any], group: Any) -> list[str]:
    """The paths at which the class of a group refuses it."""
    with pytest.raises(Invalid) as found:
        _canonical(spec, group)
    return [problem.path for problem in found.value.problems]


def _canonical(spec: RuleBackendSpec[Any], group: Any) -> Any:
    """As the core gives it to a backend."""
    assert spec.group is not None
    return to_json(params_reader.read(group, spec.group), drop_none=True)


def _texts(file: Path) -> list[Any]:
    """Its groups, with texts that stay texts, as contract section 5 has it."""
    groups: list[Any] = yaml.load(file.read_text(), yaml.BaseLoader)["groups"]
    return groups
