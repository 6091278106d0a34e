"""Frozen records that the rest of the agent passes around. They have no behavior."""
