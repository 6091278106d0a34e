"""Whether Candy-Server may be told the key that the agent has made for itself (contract section 4)."""

from __future__ import annotations

from candy_core.config.settings import Settings
from candy_core.heartbeat.own_address import is_loopback


def hands_over_key(settings: Settings) -> bool:
    """Whether a heartbeat may carry the key: in the clear it leaves this machine only where the settings say so."""
    url = settings.server_url
    if url is None:
        return False
    return url.startswith("https://") or is_loopback(url) or settings.heartbeat_key_plaintext
