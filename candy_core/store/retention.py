"""Which ended tasks are still kept: by time and by bytes, the oldest out first (contract section 2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from candy_core.ports.task_store import StoreLimits


class Retention:
    """The ended tasks in the order of their end, and the size of each in bytes."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._bytes = 0

    def keep(self, task_id: str, now: float, weight: int) -> None:
        """A task has ended ``now``, on the monotonic clock."""
        self._kept[task_id] = (now, weight)
        self._bytes += weight

    def reweigh(self, task_id: str, weight: int) -> None:
        """Note the new size of a task; one that has not ended is ignored."""
        if task_id in self._kept:
            ended_at, before = self._kept[task_id]
            self._kept[task_id] = (ended_at, weight)
            self._bytes += weight - before

    def expired(self, now: float) -> Iterator[str]:
        """The tasks to be dropped; the newest is kept whatever its size."""
        while self._kept:
            task_id, (ended_at, weight) = next(iter(self._kept.items()))
            too_many = self._bytes > self._limits.keep_bytes and len(self._kept) > 1
            if not too_many and ended_at > now - self._limits.keep_seconds:
                return
            del self._kept[task_id]
            self._bytes -= weight
            yield task_id
