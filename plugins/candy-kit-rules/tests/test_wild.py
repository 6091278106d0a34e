"""Rule files as people write them are accepted, with a server and without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from candy_core import Rule, params_reader
from candy_core.testing.context import plugin_context
from candy_kit_rules import (
    PROMETHEUS_RULES,
    VICTORIAMETRICS_RULES,
    RuleDatasource,
    check_by_parsing,
    check_by_past_query,
    open_checker,
)
from candy_testbed.rule_files import rule_file_id, rule_files

prometheus_files = pytest.mark.parametrize("file", rule_files("prometheus"), ids=rule_file_id)
victoriametrics_files = pytest.mark.parametrize("file", rule_files("victoriametrics"), ids=rule_file_id)


def groups_of(file: Path) -> list[Any]:
    groups: list[Any] = yaml.load(file.read_text(), yaml.BaseLoader)["groups"]  # every scalar is a string
    return groups


def typed_groups_of(file: Path) -> list[Any]:
    groups: list[Any] = yaml.safe_load(file.read_text())["groups"]  # as the servers' own tools need them
    return groups


@prometheus_files
async def test_prometheus_rules_pass(
    make_rule: Callable[..., Rule], promtool: Callable[[Any], str], prometheus: str, file: Path
) -> None:
    groups = groups_of(file)
    datasource = params_reader.read({"url": prometheus}, RuleDatasource)
    for source in (None, datasource):
        async with open_checker(plugin_context("rules"), PROMETHEUS_RULES, source, check_by_parsing) as check:
            assert await check(make_rule(*groups)) == []
    if file.stem != "newer":
        assert promtool(typed_groups_of(file)) == "", "the file itself is wrong"


@victoriametrics_files
async def test_victoriametrics_rules_pass(
    make_rule: Callable[..., Rule], vmalert: Callable[[Any], str], victoriametrics: str, file: Path
) -> None:
    groups = groups_of(file)
    datasource = params_reader.read({"url": victoriametrics}, RuleDatasource)
    for source in (None, datasource):
        async with open_checker(plugin_context("rules"), VICTORIAMETRICS_RULES, source, check_by_past_query) as check:
            assert await check(make_rule(*groups)) == []
    if file.stem != "newer":
        assert vmalert(typed_groups_of(file)) == "", "the file itself is wrong"


@prometheus_files
async def test_rules_for_prometheus_are_accepted_for_vmalert_too(make_rule: Callable[..., Rule], file: Path) -> None:
    """The operator converts PrometheusRules into VMRules; only functions for links to Prometheus differ."""
    groups = [group for group in groups_of(file) if "query_offset" not in group]
    async with open_checker(plugin_context("rules"), VICTORIAMETRICS_RULES, None, check_by_past_query) as check:
        assert [problem for problem in await check(make_rule(*groups)) if "graphLink" not in problem.message] == []
