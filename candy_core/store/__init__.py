"""The task store in memory, and what task stores are made of: deliveries, retention, cursors, the spool."""

from candy_core.store.memory_store import MemoryStore
from candy_core.store.spool import Spool

__all__ = ["MemoryStore", "Spool"]
