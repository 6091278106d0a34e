"""The agent's own metrics for GET /metrics (contract section 6), all named ``candy_…``."""

from __future__ import annotations

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()  # type: ignore[no-untyped-call]  # an untyped function; it removes the _created series

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """Every metric. Those that can be read from the agent's state are set at the scrape."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.tasks_submitted = Counter("candy_tasks_submitted", "Tasks accepted.", registry=own)
        self.tasks_refused = Counter("candy_tasks_refused", "Tasks rejected, by code.", ["code"], registry=own)
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
        self.calls_running = Gauge("candy_calls_running", "Running executor calls, by type.", ["type"], registry=own)
        self.running: Tally[str] = Tally()
        """Running executor calls, by type; copied to :attr:`calls_running` at the scrape."""
        self.tasks_pending = Gauge("candy_tasks_pending", "Waiting tasks.", registry=own)
        self.tasks_running = Gauge("candy_tasks_running", "Running tasks.", registry=own)
        self.queue_capacity = Gauge("candy_queue_capacity", "Maximum of waiting tasks.", registry=own)
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
            "Writes of alert rules, by type and result; for an error, the result is its code.",
            ["type", "result"],
            registry=own,
        )
        self.rules_sync_seconds = Histogram(
            "candy_rules_sync_duration_seconds", "One sync of alert rules.", buckets=_SECONDS, registry=own
        )
        self.heartbeats = Counter("candy_heartbeats", "Heartbeats, by result.", ["result"], registry=own)
        self.plugin_state = Gauge(
            "candy_plugin_state", "1 for the current state of a plugin.", ["plugin", "state"], registry=own
        )
        self.plugins_abandoned = Counter(
            "candy_plugins_abandoned",
            "Openings, closings and checks of a plugin that ignored their cancellation.",
            ["plugin"],
            registry=own,
        )
        self.loop_lag = Gauge("candy_loop_lag_seconds", "How late the event loop was at the last check.", registry=own)
        self.loop_blocked = Counter(
            "candy_loop_blocked",
            "Times the event loop was blocked, by the plugin on its stack.",
            ["plugin"],
            registry=own,
        )
        self.requests = Counter(
            "candy_http_requests", "Requests answered, by route and status.", ["route", "status"], registry=own
        )
        self._item_counters: dict[tuple[str, str], Counter] = {}
        self._item_histograms: dict[str, Histogram] = {}
        build = Gauge("candy_build_info", "Always 1.", ["version"], registry=own)
        build.labels(version).set(1)

    def item_ended(self, kind: str, status: str, seconds: float) -> None:
        """Count an item with a result. Labels are cached: looking them up would cost more than everything else here."""
        counter = self._item_counters.get((kind, status))
        if counter is None:
            counter = self._item_counters[kind, status] = self.items.labels(kind, status)
        histogram = self._item_histograms.get(kind)
        if histogram is None:
            histogram = self._item_histograms[kind] = self.item_seconds.labels(kind)
        counter.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        for kind, count in self.running.items():
            self.calls_running.labels(kind).set(count)
        return generate_latest(self.registry)
