"""Settings from file and environment (contract section 7), runtime settings, and credentials."""

from candy_core.config.configuration import Configuration, load_configuration, setting_names
from candy_core.config.credentials import Credentials
from candy_core.config.runtime import RuntimeConfig, RuntimeSettings
from candy_core.config.settings import Address, LogLevel, Settings

__all__ = [
    "Address",
    "Configuration",
    "Credentials",
    "LogLevel",
    "RuntimeConfig",
    "RuntimeSettings",
    "Settings",
    "load_configuration",
    "setting_names",
]
