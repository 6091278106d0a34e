"""Whether the agent sends the key that it has generated to Candy-Server (contract section 1)."""

from __future__ import annotations

from candy_core.config.settings import Settings
from candy_core.heartbeat.own_address import is_loopback


def hands_over_key(settings: Settings) -> bool:
    """Whether a heartbeat carries the key: over https or to loopback, or if the settings allow plain http."""
    url = settings.server_url
    if url is None:
        return False
    return url.startswith("https://") or is_loopback(url) or settings.heartbeat_key_plaintext
