"""Delivers results and events through the reporters (contract section 4)."""

from candy_core.delivery.service import DeliveryService

__all__ = ["DeliveryService"]
