"""Rules to check, and the servers' own tools to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from candy_core import Problem, Rule, RuleRef
from candy_kit_rules import PROMETHEUS_RULES, RuleChecker, RuleDialect
from candy_testbed.requirement import skip_or_fail
from candy_testbed.rule_tools import promtool_errors, promtool_output, vmalert_output
from candy_testbed.server import MissingServer

Groups = Sequence[Any]


@pytest.fixture
def make_rule() -> Callable[..., Rule]:
    """A rule of these groups."""
    return lambda *groups: Rule(ref=RuleRef(name="test"), groups=groups)


@pytest.fixture
def problems(make_rule: Callable[..., Rule]) -> Callable[..., Any]:
    """The problems of groups, without a server."""

    async def found(*groups: Any, dialect: RuleDialect = PROMETHEUS_RULES) -> Sequence[Problem]:
        return await RuleChecker(dialect)(make_rule(*groups))

    return found


def _or_skip(tool: Callable[[Groups], Any]) -> Callable[[Groups], Any]:
    def run(groups: Groups) -> Any:
        try:
            return tool(groups)
        except MissingServer as missing:
            skip_or_fail(missing)

    return run


@pytest.fixture(scope="session")
def promtool() -> Callable[[Groups], str]:
    """The errors that promtool reports for groups."""
    return _or_skip(promtool_output)


@pytest.fixture(scope="session")
def faults() -> Callable[[Groups], dict[str, str]]:
    """The errors that promtool reports, by the name of the rule."""
    return _or_skip(promtool_errors)


@pytest.fixture(scope="session")
def vmalert() -> Callable[[Groups], str]:
    """The errors that vmalert reports for groups."""
    return _or_skip(vmalert_output)
