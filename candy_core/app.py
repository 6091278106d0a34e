"""The composition root: creates the parts of the agent, starts them in order, and closes them in reverse."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from attrs import frozen

from candy_core import log_output
from candy_core.config import Configuration
from candy_core.config.credentials import Credentials
from candy_core.config.runtime import RuntimeConfig, RuntimeSettings
from candy_core.config.settings import Address, Settings
from candy_core.delivery import DeliveryService
from candy_core.engine import Engine, EngineLimits
from candy_core.errors import SettingsError
from candy_core.heartbeat import HeartbeatService, HeartbeatSources, hands_over_key
from candy_core.hosting import PluginHost
from candy_core.hosting.health import Timing
from candy_core.hosting.plugin_settings import PluginSettings
from candy_core.keys import KeyRing
from candy_core.metrics import Metrics
from candy_core.model.heartbeat import PluginBrief
from candy_core.ports.context import ByteLimits, PluginContext
from candy_core.ports.task_store import StoreLimits, TaskStore
from candy_core.registry import Registry, discover
from candy_core.rules import RuleService
from candy_core.store import MemoryStore, Spool
from candy_core.version import __version__
from candy_core.watchdog import LoopWatchdog
from candy_core.web.listener import listening
from candy_core.web.services import Services

SHUTDOWN_SECONDS = 4.7
"""Time limit of a shutdown beyond the grace for running tasks: canceling the rest, flushing, closing, exit.

Contract section 6 allows 5 s; a busy machine is late sometimes.
"""
CLOSE_SECONDS = 2.0
"""The part of it for closing connections and plugins."""
EXIT_SECONDS = 0.3
"""The last part of it, for the exit of the interpreter."""


@frozen(kw_only=True)
class Agent:
    """A running agent. ``address`` is the one that it listens on."""

    services: Services
    address: Address

    @property
    def url(self) -> str:
        """The URL of the REST API, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.address.host, self.address.host)  # noqa: S104  # a name
        return f"{'https' if self.services.settings.tls else 'http'}://{host}:{self.address.port}"

    async def shut_down(self) -> None:
        """Accept no more work, let tasks and rule writes end within the grace, cancel the rest, flush deliveries."""
        services = self.services
        end = time.monotonic() + services.settings.shutdown_grace + SHUTDOWN_SECONDS - CLOSE_SECONDS - EXIT_SECONDS
        async with asyncio.TaskGroup() as group:
            group.create_task(services.engine.drain(services.settings.shutdown_grace))
            group.create_task(services.rules.drain(services.settings.shutdown_grace))
        await services.delivery.flush(max(1.0, end - time.monotonic()))


@asynccontextmanager
async def running(configuration: Configuration) -> AsyncIterator[Agent]:
    """An agent that runs inside the context.

    Raises :class:`SettingsError` if it cannot start: an address in use, a required plugin with wrong settings, a task
    store that is not installed.
    """
    started = time.monotonic()
    settings = configuration.settings
    log = structlog.get_logger("candy")
    metrics = Metrics(__version__)
    keys = KeyRing(settings.api_key, settings.api_keys_file)
    credentials = Credentials(settings, agent_key=lambda: keys.generated, files=configuration.secret_files)
    registry = discover(blocked=settings.plugins_blocked)
    plugin_settings = PluginSettings(configuration, registry)
    plugin_settings.require(settings.plugins_required)  # a later failure only shows in /ready
    for warning in plugin_settings.warnings:
        log.warning("configuration", detail=warning)
    if keys.generated is not None and not hands_over_key(settings):
        advice = "set CANDY_API_KEY, or CANDY_SERVER_URL to send it to Candy-Server"
        if settings.server_url is not None:
            advice = (
                "it is not sent to another machine over plain http: set CANDY_API_KEY, give CANDY_SERVER_URL an https"
                " address, or allow it with CANDY_HEARTBEAT_KEY_PLAINTEXT=true"
            )
        log.warning("configuration", detail=f"no client can know the agent's generated key: {advice}")

    def context(plugin: str) -> PluginContext:
        return PluginContext(
            plugin=plugin,
            agent_id=settings.agent_id,
            core_version=__version__,
            logger=structlog.get_logger(f"candy.plugin.{plugin}"),
            credential=credentials.lookup,
            tls=ssl.create_default_context,
            limits=ByteLimits(answer=settings.max_answer, output=settings.max_output),
            server_url=settings.server_url,
        )

    runtime = RuntimeConfig.of(settings)
    host = PluginHost(
        registry,
        context=context,
        settings=plugin_settings.read,
        required=settings.plugins_required,
        metrics=metrics,
        logger=log,
        timing=Timing(close=0.4 * CLOSE_SECONDS, cancel=0.1 * CLOSE_SECONDS),
    )
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_open_store(settings, registry, plugin_settings, context))
        delivery = DeliveryService(store=store, reporters=host.reporters, metrics=metrics, logger=log)
        engine = Engine(
            store=store,
            executors=host.executors,
            limits=EngineLimits(
                calls=lambda: runtime.current.max_concurrent,
                calls_per_executor=lambda: runtime.current.max_concurrent_per_executor,
                tasks=lambda: runtime.current.max_running_tasks,
            ),
            plan=delivery.plan,
            check_callback=delivery.check_callback,
            announce=delivery.announce,
            metrics=metrics,
            logger=structlog.get_logger("candy.engine"),
            worker=f"{settings.agent_id}/{socket.gethostname()}",
        )

        def apply(current: RuntimeSettings) -> None:
            log_output.set_level(current.log_level)
            engine.limits_changed()

        runtime.subscribe(apply)
        listen = [settings.listen]
        heartbeat = HeartbeatService(
            settings=settings,
            runtime=runtime,
            sources=HeartbeatSources(
                counts=engine.counts,
                stalled=lambda: engine.stalled,
                plugins=lambda: [PluginBrief(name=p.name, version=p.version, state=p.state) for p in host.plugins()],
                required_down=host.required_down,
                executors=lambda: sorted({hosted.name for hosted in host.executors.values()}),
                listen=lambda: listen[0],
                agent_key=lambda: keys.generated,
                probes=host.cluster_probes,
            ),
            credential=credentials.lookup,
            metrics=metrics,
            logger=structlog.get_logger("candy.heartbeat"),
            started=started,
        )
        rules = RuleService(backends=host.rule_backends, metrics=metrics, logger=structlog.get_logger("candy.rules"))
        opened = asyncio.Event()
        services = Services(
            engine=engine,
            host=host,
            delivery=delivery,
            heartbeat=heartbeat,
            rules=rules,
            runtime=runtime,
            keys=keys,
            metrics=metrics,
            settings=settings,
            version=__version__,
            started=started,
            starting=lambda: not opened.is_set(),
        )
        await stack.enter_async_context(LoopWatchdog(packages=registry.packages, metrics=metrics, logger=log))
        # Each part uses the ones before it, and is closed before them.
        for part in (host.run, delivery.run, engine.run):
            await stack.enter_async_context(_in_background(part))
        listen[0] = await stack.enter_async_context(listening(services, shutdown_timeout=0.25 * CLOSE_SECONDS))
        await stack.enter_async_context(_in_background(heartbeat.run))
        log.info("listening", address=str(listen[0]), version=__version__, agent_id=settings.agent_id)
        await host.opened()
        opened.set()
        log.info("ready", plugins={record.name: record.state for record in host.plugins()})
        yield Agent(services=services, address=listen[0])
        log.info("stopping")


@asynccontextmanager
async def _open_store(
    settings: Settings, registry: Registry, plugin_settings: PluginSettings, context: Callable[[str], PluginContext]
) -> AsyncIterator[TaskStore]:
    limits = StoreLimits(
        max_pending=settings.max_pending_tasks,
        keep_seconds=settings.keep_seconds,
        keep_bytes=settings.keep_bytes,
        outbox_bytes=settings.outbox_bytes,
    )
    if settings.task_store == "memory":
        spool = Spool(settings.spool_dir) if settings.spool_dir is not None else None
        try:
            store = MemoryStore(limits, spool=spool)
            await store.restore()
            yield store
        finally:
            if spool is not None:
                spool.close()
        return
    announced = registry.task_stores.get(settings.task_store)
    if announced is None:
        known = ", ".join(["memory", *sorted(registry.task_stores)])
        raise SettingsError(f"CANDY_TASK_STORE: no task store {settings.task_store} is installed; installed: {known}")
    own = plugin_settings.read(announced.plugin, announced.spec.settings)
    async with announced.spec.open(context(announced.plugin), own, limits) as plugin_store:
        yield plugin_store


@asynccontextmanager
async def _in_background(part: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run a part inside the context, and cancel it at the end. Its failure ends the agent."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part())
        try:
            yield
        finally:
            task.cancel()
