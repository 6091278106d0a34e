"""Plugins kept open, each in a task of its own, so that the faults of one do not affect the others."""

from candy_core.hosting.health import Timing
from candy_core.hosting.host import PluginHost, SettingsReader
from candy_core.hosting.hosted import Hosted, HostedState, PluginDown
from candy_core.hosting.plugin_settings import PluginSettings

__all__ = ["Hosted", "HostedState", "PluginDown", "PluginHost", "PluginSettings", "SettingsReader", "Timing"]
