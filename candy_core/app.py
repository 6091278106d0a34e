"""The composition root: what the agent is made of, in which order it is opened, and closed in reverse."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
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
from candy_core.heartbeat import HeartbeatService, Vitals, hands_over_key
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
"""What a shutdown may take beyond the grace for running tasks: cancelling the rest, flushing, closing, leaving.

Section 6 gives 5 s; a machine with much to do is late now and then.
"""
CLOSING_SECONDS = 2.0
"""The part of it in which connections and plugins are closed."""
LEAVING_SECONDS = 0.3
"""The last part of it, in which the interpreter ends."""


def serve(configuration: Configuration) -> int:
    """Run the agent until SIGTERM or SIGINT, and give the exit status.

    Raises :class:`SettingsError` for what only shows when the parts are put together.
    """
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        code = runner.run(_serve(configuration))
        _end_the_process(code, LEAVING_SECONDS)
    return code


def _end_the_process(code: int, seconds: float) -> None:
    """Leave after ``seconds`` even where a plugin's thread, or a call that ignores its cancellation, still goes on.

    The event loop and the interpreter would wait for either, for as long as it takes.
    """

    def leave() -> None:
        structlog.get_logger("candy").error("forced_exit", detail="a plugin's call or thread that does not end")
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # an extra: the agent works without it, only slower
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(configuration: Configuration) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # By default there are six threads on two processors: six calls of a plugin would hold up every look-up of a name.
    loop.set_default_executor(ThreadPoolExecutor(configuration.settings.max_concurrent + 32, "candy"))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not before the loop turns: while plugins are imported it hears nothing, and a plain handler does.
        loop.call_soon(loop.add_signal_handler, number, stop.set)
    async with running(configuration) as agent:
        _settle_collector()
        await stop.wait()
        _end_the_process(0, configuration.settings.shutdown_grace + SHUTDOWN_SECONDS)
        await agent.shut_down()
    return 0


def _settle_collector() -> None:
    """Keep the collector of cycles from looking again and again at what stays for good, modules above all.

    And let it look less often: what comes and goes here is freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@frozen(kw_only=True)
class Agent:
    """A running agent. ``address`` is where it really listens."""

    services: Services
    address: Address

    @property
    def url(self) -> str:
        """The root of the REST API, as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.address.host, self.address.host)  # noqa: S104  # a name
        return f"{'https' if self.services.settings.tls else 'http'}://{host}:{self.address.port}"

    async def shut_down(self) -> None:
        """Take no more work, let tasks and writes of rules end within the grace, stop the rest, send what is due."""
        services = self.services
        end = time.monotonic() + services.settings.shutdown_grace + SHUTDOWN_SECONDS - CLOSING_SECONDS - LEAVING_SECONDS
        async with asyncio.TaskGroup() as group:
            group.create_task(services.engine.drain(services.settings.shutdown_grace))
            group.create_task(services.rules.drain(services.settings.shutdown_grace))
        await services.delivery.flush(max(1.0, end - time.monotonic()))


@asynccontextmanager
async def running(configuration: Configuration) -> AsyncIterator[Agent]:
    """An agent that runs for as long as the context is held.

    Raises :class:`SettingsError` where it cannot be put together: an address in use, a required plugin with wrong
    settings, a task store that is not installed.
    """
    started = time.monotonic()
    settings = configuration.settings
    log = structlog.get_logger("candy")
    metrics = Metrics(__version__)
    keys = KeyRing(settings.api_key, settings.api_keys_file)
    credentials = Credentials(settings, agent_key=lambda: keys.generated, files=configuration.secret_files)
    registry = discover(blocked=settings.plugins_blocked)
    plugin_settings = PluginSettings(configuration, registry)
    plugin_settings.require(settings.plugins_required)  # one that fails later only shows in /ready
    for warning in plugin_settings.warnings:
        log.warning("configuration", detail=warning)
    if keys.generated is not None and not hands_over_key(settings):
        way = "set CANDY_API_KEY, or CANDY_SERVER_URL to hand it to Candy-Server"
        if settings.server_url is not None:
            way = (
                "it is not sent to another machine over plain http: set CANDY_API_KEY, give CANDY_SERVER_URL an https"
                " address, or allow it with CANDY_HEARTBEAT_KEY_PLAINTEXT=true"
            )
        log.warning("configuration", detail=f"nobody knows the agent's key: {way}")

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
        timing=Timing(leave=0.4 * CLOSING_SECONDS, cancel=0.1 * CLOSING_SECONDS),
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

        def changed(current: RuntimeSettings) -> None:
            log_output.set_level(current.log_level)
            engine.limits_changed()

        runtime.subscribe(changed)
        where = [settings.listen]
        heartbeat = HeartbeatService(
            settings=settings,
            runtime=runtime,
            vitals=Vitals(
                counts=engine.counts,
                stalled=lambda: engine.stalled,
                plugins=lambda: [PluginBrief(name=p.name, version=p.version, state=p.state) for p in host.plugins()],
                required_down=host.required_down,
                executors=lambda: sorted({hosted.name for hosted in host.executors.values()}),
                listen=lambda: where[0],
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
        # Each part works through the ones before it, so each is let go before them.
        for part in (host.run, delivery.run, engine.run):
            await stack.enter_async_context(_in_background(part))
        where[0] = await stack.enter_async_context(listening(services, shutdown_timeout=0.25 * CLOSING_SECONDS))
        await stack.enter_async_context(_in_background(heartbeat.run))
        log.info("listening", address=str(where[0]), version=__version__, agent_id=settings.agent_id)
        await host.opened()
        opened.set()
        log.info("ready", plugins={record.name: record.state for record in host.plugins()})
        yield Agent(services=services, address=where[0])
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
        raise SettingsError(f"CANDY_TASK_STORE: no task store {settings.task_store} is installed; there are {known}")
    own = plugin_settings.read(announced.plugin, announced.spec.settings)
    async with announced.spec.open(context(announced.plugin), own, limits) as store_of_plugin:
        yield store_of_plugin


@asynccontextmanager
async def _in_background(part: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run a part for as long as the context is held, and cancel it at the end. Its failure ends the agent."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part())
        try:
            yield
        finally:
            task.cancel()
