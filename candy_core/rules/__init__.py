"""Alert rules (contract section 5): what callers write, checked and brought to the backends, and kept in step."""

from candy_core.rules.listing import ListFilter
from candy_core.rules.service import RuleService, RuleTiming
from candy_core.rules.writing import Retrying

__all__ = ["ListFilter", "Retrying", "RuleService", "RuleTiming"]
