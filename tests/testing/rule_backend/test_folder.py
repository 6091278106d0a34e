"""The backend of another plugin passes the suite."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from candy_core.model.rule import RuleRef
from candy_core.testing.rule_backend import BadRule, RuleBackendSuite, Subject
from candy_core.testing.rule_backend.subject import Groups
from tests.testing.rule_backend import folder


def folder_subject(path: Path) -> Subject:
    """The folder backend. The test changes its files directly."""

    def file(ref: RuleRef) -> Path:
        return path / ref.namespace / f"{folder.object_name(ref.name)}.yaml"

    async def foreign(ref: RuleRef, groups: Groups) -> None:
        file(ref).parent.mkdir(exist_ok=True)
        file(ref).write_text(yaml.safe_dump({"groups": [dict(group) for group in groups]}))

    async def change(ref: RuleRef, groups: Groups) -> None:
        document = yaml.safe_load(file(ref).read_text())
        file(ref).write_text(yaml.safe_dump(document | {"groups": [dict(group) for group in groups]}))

    async def own(ref: RuleRef) -> None:
        document = yaml.safe_load(file(ref).read_text())
        document["annotations"]["frozen-by"] = "helm"
        file(ref).write_text(yaml.safe_dump(document))

    return Subject(
        plugin="folder",
        spec=folder.SPEC,
        settings={"path": str(path), "password": "hunter2hunter2"},
        unreachable={"path": str(path / "not-there"), "password": "hunter2hunter2"},
        secrets=["hunter2hunter2"],
        foreign=foreign,
        change=change,
        own=own,
        owner="helm",
        bad=[
            BadRule(
                groups=({"name": "a", "rules": [{"expr": "up"}, {"expr": "sum(up"}]},), path="$.groups[0].rules[1].expr"
            )
        ],
    )


class TestFolder(RuleBackendSuite):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        return folder_subject(tmp_path)
