"""Runs tasks: intake, scheduling, batching, calls to executors, and the end of each task."""

from candy_core.engine.engine import Engine, EngineLimits

__all__ = ["Engine", "EngineLimits"]
