"""A stand-in for Candy-Server: receives heartbeats and callbacks, and sends tasks. For development and tests."""

from candy_server.received import CallbackReceived, HeartbeatReceived, Inbox
from candy_server.server import CandyServer
from candy_server.signature import Signature, sign, verify

__all__ = ["CallbackReceived", "CandyServer", "HeartbeatReceived", "Inbox", "Signature", "sign", "verify"]
