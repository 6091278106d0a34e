"""What the agent tells Candy-Server of itself, again and again (contract section 4)."""

from candy_core.heartbeat.key_handover import hands_over_key
from candy_core.heartbeat.service import NOT_YET, HeartbeatService, Vitals

__all__ = ["NOT_YET", "HeartbeatService", "Vitals", "hands_over_key"]
