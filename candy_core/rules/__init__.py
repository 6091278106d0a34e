"""Alert rules (contract section 5): reads what callers write, and keeps it in the rule backends."""

from candy_core.rules.applier import RetryPolicy
from candy_core.rules.listing import ListFilter
from candy_core.rules.service import RuleService, RuleTiming

__all__ = ["ListFilter", "RetryPolicy", "RuleService", "RuleTiming"]
