"""The checks: which objects each lists, and which of them are offenders."""

from candy_kubernetes.checks.all_checks import CHECKS
from candy_kubernetes.checks.check import Check, Resource, Scan

__all__ = ["CHECKS", "Check", "Resource", "Scan"]
