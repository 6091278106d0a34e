"""What differs between the rule files of Prometheus and those of VictoriaMetrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from attrs import Factory, field, frozen

from candy_kit_rules.durations import (
    DurationProblem,
    prometheus_duration_problem,
    victoriametrics_duration_problem,
    victoriametrics_offset_problem,
)
from candy_kit_rules.expressions import bracket_problem, promql_problem

ExpressionProblem = Callable[[str, bool], str | None]
"""From an expression, and whether a server has accepted it, to what is wrong with it, or ``None``."""

_COMMON = frozenset(
    {
        "args", "externalURL", "first", "humanize", "humanize1024", "humanizeDuration", "humanizePercentage",
        "humanizeTimestamp", "label", "match", "now", "parseDuration", "pathPrefix", "query", "reReplaceAll",
        "safeHtml", "sortByLabel", "stripDomain", "stripPort", "strvalue", "title", "toLower", "toTime", "toUpper",
        "value",
    }
)  # fmt: skip


@frozen(kw_only=True)
class RuleDialect:
    """One kind of rule file.

    ``functions`` and ``variables`` are those of its templates besides Go's own, of all versions: a rule may be for a
    newer server than ours. ``record_name`` is the pattern for a recording rule's name. ``rule_durations`` and
    ``group_durations`` are the fields that hold durations. ``expression`` is ``None`` if only a server can check one.
    ``same_expression``: rules with the same name and labels are duplicates only if their expressions are the same too.
    """

    name: str
    functions: Collection[str] = field(repr=False)
    variables: Collection[str] = field(repr=False)
    record_name: re.Pattern[str]
    rule_durations: Mapping[str, DurationProblem] = field(factory=dict, repr=False)
    group_durations: Mapping[str, DurationProblem] = field(factory=dict, repr=False)
    expression: ExpressionProblem | None = None
    same_expression: bool = False
    query_kinds: Collection[str] = Factory(lambda: ("",))
    """Values of a group's ``type`` whose expressions are PromQL or MetricsQL; others are not checked."""


PROMETHEUS_RULES = RuleDialect(
    name="Prometheus",
    functions=_COMMON | {"graphLink", "tableLink", "toDuration", "urlQueryEscape"},
    variables=("$labels", "$externalLabels", "$externalURL", "$value"),
    record_name=re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*"),
    rule_durations={"for": prometheus_duration_problem, "keep_firing_for": prometheus_duration_problem},
    group_durations={"interval": prometheus_duration_problem, "query_offset": prometheus_duration_problem},
    expression=promql_problem,
)
"""As read by Prometheus' ``rulefmt``, and by the operator."""

VICTORIAMETRICS_RULES = RuleDialect(
    name="VictoriaMetrics",
    functions=_COMMON
    | {
        "crlfEscape", "htmlEscape", "jsonEscape", "parseDurationTime", "pathEscape", "queryEscape", "quotesEscape",
    },
    variables=(
        "$labels", "$externalLabels", "$externalURL", "$value", "$expr", "$alertID", "$groupID", "$activeAt", "$for",
        "$type", "$isPartial",
    ),
    record_name=re.compile(r"[^\s{}\"'`]+"),
    rule_durations={"for": victoriametrics_duration_problem, "keep_firing_for": victoriametrics_duration_problem},
    group_durations={
        "interval": victoriametrics_duration_problem,
        "eval_offset": victoriametrics_offset_problem,
        "eval_delay": victoriametrics_offset_problem,
    },
    expression=bracket_problem,
    same_expression=True,
    query_kinds=("", "prometheus"),
)  # fmt: skip
"""As read by vmalert. Of MetricsQL only brackets are checked: a parser of PromQL would reject valid expressions."""
