"""Finds the installed plugins and checks what they announce, without opening anything."""

from candy_core.registry.discovery import Announced, PluginRecord, PluginState, Registry, discover

__all__ = ["Announced", "PluginRecord", "PluginState", "Registry", "discover"]
