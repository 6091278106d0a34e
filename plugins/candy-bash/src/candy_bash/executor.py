"""Runs items of the type ``bash`` (contract section 3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import evolve, frozen

from candy_bash import texts
from candy_bash.launch import Launcher
from candy_bash.running_command import RunningCommand
from candy_bash.settings import BashSettings
from candy_bash.subreaper import Subreaper
from candy_bash.termination import describe, kill_now, terminate
from candy_core import Health, Item, ItemStatus, Locale, Outcome, PluginContext, Reason, Run
from candy_kit_command import (
    Capture,
    Command,
    CommandParams,
    CommandResult,
    CommandTemplates,
    Termination,
    judge_output,
    stdout_capture,
)

OUTPUT_SECONDS = 0.25
"""How long to wait for the end of the output once every process of the run has ended."""
REAP_INTERVAL = 1.0
CLOSE_SECONDS = 2.0


@frozen(kw_only=True)
class BashExecutor:
    """An ``Executor`` for commands on this host. ``limit`` is the number of bytes kept of each stream.

    ``setting`` is the name of the setting that enables free-form commands.
    """

    templates: CommandTemplates
    settings: BashSettings
    launcher: Launcher
    subreaper: Subreaper
    limit: int
    setting: str
    _running: set[RunningCommand]
    _abandoned: set[RunningCommand]

    async def run(self, item: Item[CommandParams], run: Run) -> Outcome:
        """Run the item's command and judge its output. When canceled, first terminate everything that it started."""
        params, locale = item.params, run.locale
        command = self.templates.command_of(params, self.settings, locale, setting=self.setting)
        if isinstance(command, Outcome):
            return command
        head = (f"Command: {command.label}",)
        try:
            started = self.launcher.start(command)
        except (OSError, ValueError) as error:
            return _not_started(error, command, head, locale)
        stdout, stderr = stdout_capture(params, self.limit), Capture(self.limit)
        running = RunningCommand(started, stdout, stderr, self.limit)
        self._running.add(running)
        code: int | None = None
        try:
            termination = await self._wait(running, locale)
        finally:
            code = self._release(running)
        result = CommandResult(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stdout=stdout.finish(),
            stderr=stderr.finish(),
            termination=termination,
        )
        return judge_output(params, result, locale, head, command)

    async def _wait(self, running: RunningCommand, locale: Locale) -> Termination | None:
        """Wait for the end of the command or for cancellation, then terminate whatever is left of the run.

        Returns ``None`` if the command ended on its own and left no processes behind. Those that it left belong to the
        item as well, so they are terminated with it.
        """
        canceled = False
        try:
            await running.wait()
        except asyncio.CancelledError:
            canceled = True
        tree, grace = running.tree, self.settings.grace
        termination: Termination | None = None
        if canceled or self.subreaper.orphans(tree):
            try:
                result = await terminate(self.subreaper, tree, locale, grace=grace)
            except asyncio.CancelledError:
                if canceled:
                    raise
                canceled = True
                result = await terminate(self.subreaper, tree, locale, grace=grace)
            termination = result.termination
            if not canceled and result.found:
                sentence = texts.sentence(locale, texts.LEFT_BEHIND, names=describe(result.found))
                detail = sentence if termination.verified else f"{sentence}; {termination.detail}"
                termination = evolve(termination, detail=detail)
            await running.wait(OUTPUT_SECONDS)
        if not await running.drain(OUTPUT_SECONDS) and (termination is None or termination.verified):
            termination = Termination(False, texts.sentence(locale, texts.OUTPUT_OPEN))
        return termination

    def _release(self, running: RunningCommand) -> int | None:
        """Release what a run holds. A process that could not be killed is left to :meth:`reap_loop`."""
        running.close()
        self._running.discard(running)
        code = running.reap()
        if code is None:
            self._abandoned.add(running)
        else:
            self.subreaper.forget(running.tree)
        return code

    async def reap_loop(self) -> None:
        """Reap inherited children that have ended, and keep killing what could not be killed, until canceled."""
        while True:
            await asyncio.sleep(REAP_INTERVAL)
            self._reap()

    def _reap(self) -> None:
        for running in list(self._abandoned):
            kill_now(self.subreaper, running.tree)
            if running.reap() is not None:
                self.subreaper.forget(running.tree)
                self._abandoned.discard(running)
        self.subreaper.reap()

    async def kill_all(self) -> None:
        """Kill everything that is still running or was abandoned, within :data:`CLOSE_SECONDS`: the agent may exit."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_SECONDS
        while True:
            for running in self._running:
                kill_now(self.subreaper, running.tree)
            self._reap()
            if not (self._running or self._abandoned) or loop.time() >= deadline:
                return
            await asyncio.sleep(0.01)

    async def health(self) -> Health:
        """Whether the shell exists, if free-form commands are on, and whether orphans can be tracked."""
        shell = self.launcher.shell
        if shell is not None and not await asyncio.to_thread(os.access, shell, os.X_OK):
            return Health(ok=False, detail=f"{shell} may not be executed")
        if not self.subreaper.active:
            return Health(ok=False, detail=texts.NO_SUBREAPER)
        return Health(ok=True)


@asynccontextmanager
async def open_executor(context: PluginContext, settings: BashSettings) -> AsyncIterator[BashExecutor]:
    """Read the templates and look up what the settings name. Raises ``SettingsError`` if something is missing."""
    templates = await asyncio.to_thread(CommandTemplates.load, settings)
    subreaper = await asyncio.to_thread(Subreaper.of_this_process)
    executor = BashExecutor(
        templates=templates,
        settings=settings,
        launcher=await asyncio.to_thread(Launcher.from_settings, settings, subreaper),
        subreaper=subreaper,
        limit=context.limits.output,
        setting=f"CANDY_{context.plugin.upper()}_ALLOW_COMMAND",
        running=set(),
        abandoned=set(),
    )
    async with asyncio.TaskGroup() as group:
        reaping = group.create_task(executor.reap_loop())
        try:
            yield executor
        finally:
            reaping.cancel()
            await executor.kill_all()


def _not_started(error: OSError | ValueError, command: Command, head: Sequence[str], locale: Locale) -> Outcome:
    """With a shell's exit codes: 127 for a program that is missing, 126 for one that may not be executed."""
    program = command.argv[0] if command.argv else ""
    code: int | None = None
    if isinstance(error, FileNotFoundError) and error.filename == program:
        code, message = 127, texts.sentence(locale, texts.NOT_FOUND, program=program)
    elif isinstance(error, PermissionError) and error.filename == program:
        code, message = 126, texts.sentence(locale, texts.NOT_EXECUTABLE, program=program)
    else:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        message = texts.sentence(locale, texts.NOT_STARTED, why=why)
    return Outcome(
        status=ItemStatus.FAILED,
        reason=Reason.EXIT_CODE if code is not None else "bash_not_started",
        message=message,
        details="\n".join(head),
        stats={} if code is None else {"exit_code": code},
    )
