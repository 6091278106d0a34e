"""What forges, editors and hooks read: it parses, calls what the repository has, and trusts nothing that can change."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def read(place: str) -> Any:
    """A YAML file of the checkout."""
    return yaml.safe_load((ROOT / place).read_text())


def test_both_forges_run_the_same_on_the_same_system() -> None:
    job = read(".github/workflows/ci.yml")["jobs"]["ci"]
    other = read(".gitlab-ci.yml")["ci"]
    assert job["container"]["image"] == other["image"] == "debian:12"
    assert job["steps"][0]["run"] == other["before_script"]
    assert job["steps"][-1]["run"].endswith(" && .ci/run")
    assert other["script"] == ".ci/run"
    assert f"{job['timeout-minutes']} minutes" == other["timeout"]


def test_a_workflow_may_only_read_and_its_actions_cannot_change() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in workflow["jobs"]["ci"]["steps"] if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[a-z]+@[0-9a-f]{40}", action)] == []
    cached = read(".gitlab-ci.yml")["ci"]["cache"]["paths"]
    assert [path for path in cached if not path.startswith(".cache/")] == []


def test_hooks_download_nothing_and_call_the_tools_of_the_checkout() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    checks = (ROOT / "tools/setup/check.sh").read_text()
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        program, action, *_ = hook["entry"].split()
        if program == "make":
            assert f"\n{action}: " in (ROOT / "Makefile").read_text()
        else:
            assert f'"$bin/{program.removeprefix(".venv/bin/")}"' in checks


@pytest.mark.parametrize("place", [".github/ISSUE_TEMPLATE/bug.yml", ".gitlab/issue_templates/bug.md"])
def test_a_report_of_a_fault_asks_for_what_a_maintainer_needs(place: str) -> None:
    text = (ROOT / place).read_text()
    for wanted in ("candy-agent --version", "candy-agent plugins", "candy-agent check-config", "/ready", "task_id"):
        assert wanted in text
    assert "SECURITY.md" in text


def test_the_forms_are_complete() -> None:
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            fields = [field["id"] for field in form["body"] if field["type"] != "markdown"]
            assert len(fields) == len(set(fields)) > 0
    change = (ROOT / ".github/pull_request_template.md").read_text()
    assert change == (ROOT / ".gitlab/merge_request_templates/default.md").read_text()


def test_the_devcontainer_is_set_up_by_the_makefile() -> None:
    text = (ROOT / ".devcontainer/devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert container["postCreateCommand"] == "make install"
    assert container["image"].endswith(":3.11-bookworm")
