"""What Candy Agent's rule backends share: what a rule file may hold, and how it is checked before it is written."""

from candy_kit_rules.checker import RuleChecker, open_checker
from candy_kit_rules.dialect import PROMETHEUS_RULES, VICTORIAMETRICS_RULES, RuleDialect
from candy_kit_rules.expression_checks import check_by_parsing, check_by_past_query
from candy_kit_rules.go_template import template_problem
from candy_kit_rules.scalar import Scalar
from candy_kit_rules.server_check import RuleDatasource, ServerCheck

__all__ = [
    "PROMETHEUS_RULES",
    "VICTORIAMETRICS_RULES",
    "RuleChecker",
    "RuleDatasource",
    "RuleDialect",
    "Scalar",
    "ServerCheck",
    "check_by_parsing",
    "check_by_past_query",
    "open_checker",
    "template_problem",
]
