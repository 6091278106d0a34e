"""Rules to be checked, and the servers' own tools to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from candy_core import Problem, Rule, RuleRef
from candy_kit_rules import PROMETHEUS_RULES, RuleChecker, RuleDialect
from candy_testbed.requirement import give_up
from candy_testbed.rule_tools import promtool_faults, promtool_says, vmalert_says
from candy_testbed.server import MissingServer

Groups = Sequence[Any]


@pytest.fixture
def make_rule() -> Callable[..., Rule]:
    """A rule of these groups."""
    return lambda *groups: Rule(ref=RuleRef(name="test"), groups=groups)


@pytest.fixture
def problems(make_rule: Callable[..., Rule]) -> Callable[..., Any]:
    """Everything wrong with groups, without a server."""

    async def found(*groups: Any, dialect: RuleDialect = PROMETHEUS_RULES) -> Sequence[Problem]:
        return await RuleChecker(dialect)(make_rule(*groups))

    return found


def _or_given_up(tool: Callable[[Groups], Any]) -> Callable[[Groups], Any]:
    def asked(groups: Groups) -> Any:
        try:
            return tool(groups)
        except MissingServer as missing:
            give_up(missing)

    return asked


@pytest.fixture(scope="session")
def promtool() -> Callable[[Groups], str]:
    """What Prometheus' tool finds wrong with groups."""
    return _or_given_up(promtool_says)


@pytest.fixture(scope="session")
def faults() -> Callable[[Groups], dict[str, str]]:
    """What Prometheus' tool finds wrong, by the name of the rule."""
    return _or_given_up(promtool_faults)


@pytest.fixture(scope="session")
def vmalert() -> Callable[[Groups], str]:
    """What vmalert finds wrong with groups."""
    return _or_given_up(vmalert_says)
