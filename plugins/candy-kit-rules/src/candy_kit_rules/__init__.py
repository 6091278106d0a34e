"""What Candy Agent's rule backends share: what a rule file may hold, and how it is checked before it is written."""

from candy_kit_rules.checker import RuleChecker, open_checker
from candy_kit_rules.dialect import PROMETHEUS_RULES, VICTORIAMETRICS_RULES, RuleDialect
from candy_kit_rules.go_template import template_problem
from candy_kit_rules.opinion import Opinion, RuleDatasource
from candy_kit_rules.questions import ask_long_ago, ask_prometheus
from candy_kit_rules.scalar import Scalar

__all__ = [
    "PROMETHEUS_RULES",
    "VICTORIAMETRICS_RULES",
    "Opinion",
    "RuleChecker",
    "RuleDatasource",
    "RuleDialect",
    "Scalar",
    "ask_long_ago",
    "ask_prometheus",
    "open_checker",
    "template_problem",
]
