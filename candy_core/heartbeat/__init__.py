"""Heartbeats to Candy-Server (contract section 4)."""

from candy_core.heartbeat.key_handover import hands_over_key
from candy_core.heartbeat.service import NO_ANSWER_YET, HeartbeatService, HeartbeatSources

__all__ = ["NO_ANSWER_YET", "HeartbeatService", "HeartbeatSources", "hands_over_key"]
