"""The checks: what each lists, and what it holds against an object."""

from candy_kubernetes.checks.catalogue import CHECKS
from candy_kubernetes.checks.check import Check, Resource, Survey

__all__ = ["CHECKS", "Check", "Resource", "Survey"]
