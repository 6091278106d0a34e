"""The classes of a group and its rules against the CustomResourceDefinition, field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from attrs import frozen
from candy_testbed.rule_files import rule_file_id, rule_files
from candy_testbed.rule_plugin import departures, group_schema
from candy_vmrule.groups import VMGroup

from candy_core import Invalid, params_reader, to_json

SCHEMA = group_schema("operator.victoriametrics.com_vmrules")


def canonical(group: Any) -> Any:
    """As the core gives it to a backend."""
    return to_json(params_reader.read(group, VMGroup), drop_none=True)


def test_the_classes_have_every_field_of_the_definition_and_no_other() -> None:
    """A new version of the definition is noticed here; a rule without ``expr`` is one to it, and none to vmalert."""
    assert list(departures(VMGroup, SCHEMA)) == ["group.rules[]: required are [], and by our class ['expr']"]


def test_a_field_more_or_less_or_of_another_type_would_be_noticed() -> None:
    @frozen(kw_only=True)
    class Other:
        name: int
        rules: str | None = None
        surplus: str = ""

    found = "\n".join(departures(Other, SCHEMA))
    for said in ("group.interval: not in our class", "group.surplus: not in the def", "group.name: int for string"):
        assert said in found
    assert "group.rules: str for array" in found


@pytest.mark.parametrize("file", rule_files("victoriametrics"), ids=rule_file_id)
def test_rule_files_in_the_shapes_that_people_write_are_read_and_lose_nothing(file: Path) -> None:
    groups = yaml.load(file.read_text(), yaml.BaseLoader)["groups"]  # texts stay texts, as contract section 5 has it
    typed = yaml.safe_load(file.read_text())["groups"]
    for written, by_type in zip(groups, typed, strict=True):
        found = canonical(written)
        assert found.keys() == written.keys()
        assert len(found["rules"]) == len(written["rules"])
        for rule, expected in zip(found["rules"], written["rules"], strict=True):
            assert {**rule, "debug": None, "update_entries_limit": None} == {
                **expected,
                "debug": None,
                "update_entries_limit": None,
            }
        for field in ("limit", "concurrency", "eval_alignment"):
            assert found.get(field) == by_type.get(field)


def test_numbers_where_a_text_is_meant_are_taken_as_they_are_written() -> None:
    group = {"name": "g", "interval": 0, "rules": [{"record": "one", "expr": 1}]}
    assert canonical(group) == {"name": "g", "interval": "0", "rules": [{"record": "one", "expr": "1"}]}


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ({"name": "", "rules": []}, "$.name"),
        ({"rules": []}, "$.name"),
        ({"name": "g", "rules": [{"alert": "a"}]}, "$.rules[0].expr"),
        ({"name": "g", "rules": [{"alert": "a", "expr": "up", "labels": {"a": 1}}]}, "$.rules[0].labels.a"),
        ({"name": "g", "rules": [], "limit": "many"}, "$.limit"),
        ({"name": "g", "rules": [{"alert": "a", "expr": "up", "severity": "x"}]}, "$.rules[0].severity"),
        ({"name": "g", "rules": [], "headers": ["no header"]}, "$.headers[0]"),
        ({"name": "g", "rules": [], "query_offset": "5m"}, "$.query_offset"),
    ],
)
def test_what_the_definition_does_not_have_is_refused_by_name(group: Any, path: str) -> None:
    with pytest.raises(Invalid) as found:
        canonical(group)
    assert [problem.path for problem in found.value.problems] == [path]
