"""What faulty executors do with an item: each does one thing wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from candy_core import Item, ItemStatus, Outcome, PluginContext, Reason, Run
from tests.testing.executor.executors import OVERSIZE, TOKEN, RunItem, failed, in_a_process, normal, run_well

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(30)"]

cleanup = contextlib.ExitStack()
"""Removes what a faulty executor left, after its test."""


def when(do: str, replacement: RunItem | Callable[[], object]) -> RunItem:
    """The well-behaved executor with another function, with or without parameters, for one kind of items."""

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        if item.params.do != do:
            return await run_well(item, run, context, settings)
        function: Any = replacement
        found: Any = function(*(item, run, context, settings)[: function.__code__.co_argcount])
        if isinstance(found, Awaitable):
            found = await found
        outcome: Outcome = found
        return outcome

    return run_item


def raises(error: BaseException) -> Callable[[], Outcome]:
    def run_item() -> Outcome:
        raise error

    return run_item


def gives(outcome: object) -> Callable[[], object]:
    return lambda: outcome


# Leaks.


async def leaves_a_socket() -> Outcome:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    cleanup.callback(sock.close)
    await asyncio.sleep(0.01)
    return normal("hello")


async def leaves_a_socket_and_fails() -> Outcome:
    await leaves_a_socket()
    return failed(Reason.UNREACHABLE)


async def leaves_a_socket_and_waits() -> Outcome:
    await leaves_a_socket()
    return await in_a_process("import time; time.sleep(60)")


async def leaves_a_task() -> Outcome:
    task = asyncio.create_task(asyncio.sleep(30))
    cleanup.callback(task.cancel)
    return normal("hello")


async def leaves_a_task_and_waits() -> Outcome:
    await leaves_a_task()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def leaves_a_thread() -> Outcome:
    gone = threading.Event()
    threading.Thread(target=gone.wait, name="left-alone", daemon=True).start()
    cleanup.callback(gone.set)
    return normal("hello")


async def leaves_a_busy_worker() -> Outcome:
    gone = threading.Event()
    cleanup.callback(gone.set)
    await asyncio.to_thread(gone.wait, 10)
    raise AssertionError("unreachable")


async def leaves_a_file() -> Outcome:
    descriptor, _ = tempfile.mkstemp(prefix="left-alone-")
    os.close(descriptor)
    return normal("hello")


async def leaves_a_file_and_waits() -> Outcome:
    await leaves_a_file()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def leaves_a_process() -> Outcome:
    sleeping()
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def leaves_a_daemon() -> Outcome:
    """Kills its child, but not the child of the child, which has its own session."""
    code = f"import subprocess, time; p = subprocess.Popen({SLEEP!r}, start_new_session=True); print(p.pid, flush=True)"
    command = [sys.executable, "-S", "-c", f"{code}; time.sleep(30)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220  # a faulty executor may block
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.stdout.close()
    cleanup.callback(_reap, pid)
    try:
        await asyncio.Event().wait()
    finally:
        process.kill()
        process.wait()
    raise AssertionError("unreachable")


def sleeping() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(SLEEP)
    cleanup.callback(process.wait)
    cleanup.callback(process.kill)
    return process


def _reap(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


async def leaves_a_zombie() -> Outcome:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])  # noqa: ASYNC220  # the same
    cleanup.callback(process.wait)
    return normal("hello")


async def starts_a_process_and_remembers_it_late() -> Outcome:
    process = sleeping()
    for _ in range(5):
        await asyncio.sleep(0)
    try:
        await asyncio.Event().wait()
    finally:
        process.kill()
        process.wait()
    raise AssertionError("unreachable")


async def forgets_an_error() -> Outcome:
    async def fails() -> None:
        raise ValueError("never retrieved")

    asyncio.create_task(fails())  # noqa: RUF006  # that is what is wrong with it
    await asyncio.sleep(0.01)
    return normal("hello")


# Calls that do not end.


async def ends_late() -> Outcome:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.5)
    raise AssertionError("unreachable")


async def never_ends() -> Outcome:
    go_on = [True]
    cleanup.callback(go_on.clear)
    while go_on:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    return normal("")


async def never_ends_politely() -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def raises_when_cancelled() -> Outcome:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise RuntimeError("torn down") from None
    raise AssertionError("unreachable")


def cleans_up_in_turn() -> RunItem:
    lock = asyncio.Lock()

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            async with lock:
                await asyncio.sleep(0.1)
        raise AssertionError("unreachable")

    return when("wait", run_item)


# Mixed-up items.


def keeps_the_last() -> RunItem:
    last = [""]

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        if item.params.do != "say":
            return await run_well(item, run, context, settings)
        last[0] = item.params.text
        await asyncio.sleep(0.01)
        return normal(last[0])

    return run_item


def takes_turns() -> RunItem:
    lock = asyncio.Lock()

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        async with lock:
            return await run_well(item, run, context, settings)

    return run_item


def breaks_at_a_failure() -> RunItem:
    broken: list[bool] = []

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        if item.params.do == "fail":
            broken.append(True)
        return failed(Reason.UNREACHABLE, "it does not work any more") if broken else normal(item.params.text)

    return run_item


# Oversized output.


async def reads_it_all(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", f"import sys; sys.stdout.write('x' * {OVERSIZE})", stdout=asyncio.subprocess.PIPE
    )
    await process.communicate()
    return failed(Reason.TOO_LARGE, "cut at some bytes")


async def returns_it_all(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    return Outcome(status=ItemStatus.FAILED, reason=Reason.TOO_LARGE, message="cut at", details="x" * 1_000_000)


async def goes_on_reading(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    await asyncio.Event().wait()
    return normal("")


async def leaves_a_process_and_fails(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    sleeping()
    return failed(Reason.TOO_LARGE, "cut at some bytes")


# Blocking calls.


async def sleeps_and_fails() -> Outcome:
    try:
        time.sleep(0.001)  # noqa: ASYNC251  # that is what is wrong with it
    except Exception as error:  # noqa: BLE001  # as many plugins do
        return failed(Reason.UNREACHABLE, f"it does not work: {error}")
    return failed(Reason.UNREACHABLE)


async def sleeps_and_hides_it() -> Outcome:
    with contextlib.suppress(Exception):
        time.sleep(0.001)  # noqa: ASYNC251  # the same
    return normal("hello")


async def reads_a_file_and_hides_it() -> Outcome:
    with contextlib.suppress(Exception):
        Path(__file__).read_text()  # noqa: ASYNC240  # the same
    return normal("hello")


async def computes(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        pass
    return normal(item.params.text)


# Secrets.


def leaks(how: Callable[[Run, PluginContext], object]) -> RunItem:
    """Leak the token, and then run the item well."""

    async def run_item(item: Item[Any], run: Run, context: PluginContext, settings: Any) -> Outcome:
        how(run, context)
        return await run_well(item, run, context, settings)

    return run_item


def logs_an_exception(run: Run, context: PluginContext) -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logging.getLogger("library").exception("it went wrong")


LEAKS: dict[str, tuple[Callable[[Run, PluginContext], object], str]] = {
    "run.logger": (lambda run, context: run.logger.debug("running", token=TOKEN), r"the log \(debug\), as it is"),
    "context.logger": (lambda run, context: context.logger.info("running %s", TOKEN), r"the log \(info\)"),
    "structlog": (lambda run, context: structlog.get_logger().warning("running", token=TOKEN), r"the log \(warning\)"),
    "logging": (
        lambda run, context: logging.getLogger("library").debug("running %s", TOKEN),
        r"the log of library \(DEBUG\)",
    ),
    "a logged exception": (logs_an_exception, r"the log of library \(ERROR\)"),
    "a warning": (lambda run, context: warnings.warn(f"running {TOKEN}", stacklevel=1), "a warning"),
    "a print": (lambda run, context: print(TOKEN), "standard output"),
    "base64": (
        lambda run, context: run.logger.info("running", header=base64.b64encode(TOKEN.encode()).decode()),
        r"the log \(info\), in base64",
    ),
}


async def leaks_in_its_message() -> Outcome:
    return failed(Reason.UNREACHABLE, f"it does not work with {TOKEN}")


async def leaks_in_its_process_arguments() -> Outcome:
    return await in_a_process(f"import time; time.sleep(60)  # {TOKEN}")


async def leaks_in_its_process_environment() -> Outcome:
    process = await asyncio.create_subprocess_exec(*SLEEP, env={"TOKEN": TOKEN})
    try:
        await process.wait()
    finally:
        process.kill()
        await process.wait()
    return normal("")
