"""The contract suite of task stores: subclass it, open your store, and it checks all that the port requires.

::

    class TestMyStore(TaskStoreSuite):
        @pytest.fixture
        async def opened(self):
            async with open_my_store(self.limits, clock) as store:
                yield OpenedStore(store=store, advance=clock.advance)
"""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in ("base", "queue", "lifecycle", "deliveries")))

from candy_core.testing.task_store.base import OpenedStore, delivery, ending, new_task, result_of  # noqa: E402  # rewritten first
from candy_core.testing.task_store.deliveries import DeliveriesSuite  # noqa: E402  # the same
from candy_core.testing.task_store.lifecycle import LifecycleSuite  # noqa: E402  # the same
from candy_core.testing.task_store.queue import QueueSuite  # noqa: E402  # the same

__all__ = ["OpenedStore", "TaskStoreSuite", "delivery", "ending", "new_task", "result_of"]


class TaskStoreSuite(QueueSuite, LifecycleSuite, DeliveriesSuite):
    """Everything that a :class:`~candy_core.ports.task_store.TaskStore` must do."""
