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
"""What is wrong with an expression as far as can be told here, or ``None``; and whether a server has accepted it."""

_BOTH = frozenset(
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

    ``functions`` and ``variables`` are what its templates know beside Go's own: those of every version, since a newer
    server than ours is no mistake of the rule's. ``record_name`` is what a recording rule may be called.
    ``rule_durations`` and ``group_durations`` are the fields that hold durations. ``expression`` is ``None`` where only
    a server can tell. ``same_expression``: two rules are one and the same only if their expressions are, too.
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
    """Values of a group's ``type`` whose expressions are PromQL or MetricsQL; a server is asked about no others."""


PROMETHEUS_RULES = RuleDialect(
    name="Prometheus",
    functions=_BOTH | {"graphLink", "tableLink", "toDuration", "urlQueryEscape"},
    variables=("$labels", "$externalLabels", "$externalURL", "$value"),
    record_name=re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*"),
    rule_durations={"for": prometheus_duration_problem, "keep_firing_for": prometheus_duration_problem},
    group_durations={"interval": prometheus_duration_problem, "query_offset": prometheus_duration_problem},
    expression=promql_problem,
)
"""As Prometheus' ``rulefmt`` reads them, and the operator before it."""

VICTORIAMETRICS_RULES = RuleDialect(
    name="VictoriaMetrics",
    functions=_BOTH
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
"""As vmalert reads them. Of MetricsQL only brackets are looked at: a parser of PromQL would refuse what is right."""
