"""The agent's own figures for GET /metrics (contract section 6), all named ``candy_…``."""

from __future__ import annotations

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's; it spares a second series for each

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """Every figure that the agent counts as it goes. What it can look up instead is looked up at the scrape."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.tasks_submitted = Counter("candy_tasks_submitted", "Tasks taken in.", registry=own)
        self.tasks_refused = Counter("candy_tasks_refused", "Tasks refused at intake, by code.", ["code"], registry=own)
        self.tasks_ended = Counter("candy_tasks_ended", "Tasks that ended, by status.", ["status"], registry=own)
        self.task_seconds = Histogram(
            "candy_task_duration_seconds", "From a task's start to its end.", buckets=_SECONDS, registry=own
        )
        self.items = Counter(
            "candy_items", "Items with a result, by type and status.", ["type", "status"], registry=own
        )
        self.item_seconds = Histogram(
            "candy_item_duration_seconds", "From an item's start to its end.", ["type"], buckets=_SECONDS, registry=own
        )
        self.item_retries = Counter("candy_item_retries", "Further attempts at items, by type.", ["type"], registry=own)
        self.items_abandoned = Counter(
            "candy_items_abandoned", "Items whose executor ignored its cancellation.", ["type"], registry=own
        )
        self.calls_running = Gauge(
            "candy_calls_running", "Executor calls at this moment, by type.", ["type"], registry=own
        )
        self.running: Tally[str] = Tally()
        """Executor calls at this moment, by type: what :attr:`calls_running` tells at the scrape."""
        self.tasks_pending = Gauge("candy_tasks_pending", "Tasks that wait.", registry=own)
        self.tasks_running = Gauge("candy_tasks_running", "Tasks that run.", registry=own)
        self.queue_capacity = Gauge("candy_queue_capacity", "Tasks that may wait.", registry=own)
        self.delivery_attempts = Counter(
            "candy_delivery_attempts",
            "Attempts to deliver, by reporter and answer.",
            ["reporter", "answer"],
            registry=own,
        )
        self.delivery_seconds = Histogram(
            "candy_delivery_duration_seconds", "One attempt to deliver.", ["reporter"], buckets=_SECONDS, registry=own
        )
        self.deliveries = Gauge(
            "candy_deliveries",
            "Deliveries by state; received is the sum of delivered, dead and waiting.",
            ["state"],
            registry=own,
        )
        self.events_lost = Counter("candy_events_lost", "started and progress events that were not sent.", registry=own)
        self.rules_writes = Counter(
            "candy_rules_writes",
            "Writes of alert rules, by type and result: what became of the rule, or the code of the error.",
            ["type", "result"],
            registry=own,
        )
        self.rules_sync_seconds = Histogram(
            "candy_rules_sync_duration_seconds", "One sync of alert rules.", buckets=_SECONDS, registry=own
        )
        self.heartbeats = Counter("candy_heartbeats", "Heartbeats, by result.", ["result"], registry=own)
        self.plugin_state = Gauge(
            "candy_plugin_state", "1 for the state a plugin is in.", ["plugin", "state"], registry=own
        )
        self.plugins_abandoned = Counter(
            "candy_plugins_abandoned",
            "Openings, closings and checks of a plugin that ignored their cancellation.",
            ["plugin"],
            registry=own,
        )
        self.loop_lag = Gauge("candy_loop_lag_seconds", "How late the event loop was at the last look.", registry=own)
        self.loop_blocked = Counter(
            "candy_loop_blocked",
            "Times the event loop stood still, by the plugin on its stack.",
            ["plugin"],
            registry=own,
        )
        self.requests = Counter(
            "candy_http_requests", "Requests answered, by route and status.", ["route", "status"], registry=own
        )
        self._items_ended: dict[tuple[str, str], Counter] = {}
        self._items_took: dict[str, Histogram] = {}
        build = Gauge("candy_build_info", "Always 1.", ["version"], registry=own)
        build.labels(version).set(1)

    def item_ended(self, kind: str, status: str, seconds: float) -> None:
        """Count an item with a result. There are thousands, and a look-up of labels costs more than all the rest."""
        counter = self._items_ended.get((kind, status))
        if counter is None:
            counter = self._items_ended[kind, status] = self.items.labels(kind, status)
        took = self._items_took.get(kind)
        if took is None:
            took = self._items_took[kind] = self.item_seconds.labels(kind)
        counter.inc()
        took.observe(seconds)

    def text(self) -> bytes:
        """All figures in the Prometheus text format."""
        for kind, count in self.running.items():
            self.calls_running.labels(kind).set(count)
        return generate_latest(self.registry)
