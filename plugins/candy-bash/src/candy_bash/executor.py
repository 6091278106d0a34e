"""Runs items of the type ``bash`` (contract section 3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import frozen

from candy_bash import texts
from candy_bash.adoption import Adoption
from candy_bash.child import Child
from candy_bash.ending import end, kill_now, names
from candy_bash.launch import Launcher
from candy_bash.settings import BashSettings
from candy_core import Health, Item, ItemStatus, Locale, Outcome, PluginContext, Reason, Run
from candy_kit_command import (
    Capture,
    Catalogue,
    Command,
    CommandParams,
    Finished,
    Termination,
    judge_output,
    stdout_capture,
)

HELD_SECONDS = 0.25
"""How long the end of the output is waited for once every process of the run is gone."""
LOOK_EVERY = 1.0
FAREWELL_SECONDS = 2.0


@frozen(kw_only=True)
class BashExecutor:
    """An ``Executor`` for commands on this host. ``limit`` bounds what is kept of each stream, in bytes.

    ``setting`` names what enables free-form commands.
    """

    catalogue: Catalogue
    settings: BashSettings
    launcher: Launcher
    adoption: Adoption
    limit: int
    setting: str
    _running: set[Child]
    _abandoned: set[Child]

    async def run(self, item: Item[CommandParams], run: Run) -> Outcome:
        """Run the item's command and judge its output. Cancelled, it first ends everything that the command started."""
        params, locale = item.params, run.locale
        command = self.catalogue.command_of(params, self.settings, locale, setting=self.setting)
        if isinstance(command, Outcome):
            return command
        head = (f"Command: {command.label}",)
        try:
            started = self.launcher.start(command)
        except (OSError, ValueError) as error:
            return _not_started(error, command, head, locale)
        stdout, stderr = stdout_capture(params, self.limit), Capture(self.limit)
        child = Child(started, stdout, stderr, self.limit)
        self._running.add(child)
        code: int | None = None
        try:
            stopped = await self._over(child, locale)
        finally:
            code = self._release(child)
        finished = Finished(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stdout=stdout.finish(),
            stderr=stderr.finish(),
            stopped=stopped,
        )
        return judge_output(params, finished, locale, head, command)

    async def _over(self, child: Child, locale: Locale) -> Termination | None:
        """Wait until the command has ended by itself or by a cancel, and nothing of it is left.

        ``None`` where it ended by itself and had left nothing. What it leaves behind was started by the item as well,
        and is ended with it.
        """
        canceled = False
        try:
            await child.wait()
        except asyncio.CancelledError:
            canceled = True
        lineage, grace = child.lineage, self.settings.grace
        termination: Termination | None = None
        if canceled or self.adoption.orphans(lineage):
            try:
                ended = await end(self.adoption, lineage, locale, grace=grace)
            except asyncio.CancelledError:
                if canceled:
                    raise
                canceled = True
                ended = await end(self.adoption, lineage, locale, grace=grace)
            termination = ended.termination
            if not canceled and ended.found:
                said = texts.sentence(locale, texts.LEFT_BEHIND, names=names(ended.found))
                detail = said if termination.verified else f"{said}; {termination.detail}"
                termination = Termination(termination.verified, detail)
            await child.wait(HELD_SECONDS)
        if not await child.drain(HELD_SECONDS) and (termination is None or termination.verified):
            termination = Termination(False, texts.sentence(locale, texts.HELD))
        return termination

    def _release(self, child: Child) -> int | None:
        """Give back what a run holds. What would not die is left to :meth:`keep_house`."""
        child.close()
        self._running.discard(child)
        code = child.reap()
        if code is None:
            self._abandoned.add(child)
        else:
            self.adoption.forget(child.lineage)
        return code

    async def keep_house(self) -> None:
        """Ask after adopted children that have ended, and go on ending what would not die; until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._sweep()

    def _sweep(self) -> None:
        for child in list(self._abandoned):
            kill_now(self.adoption, child.lineage)
            if child.reap() is not None:
                self.adoption.forget(child.lineage)
                self._abandoned.discard(child)
        self.adoption.look_around()

    async def farewell(self) -> None:
        """End, without any grace, what is still running or was abandoned, within a bound: the agent may be leaving."""
        loop = asyncio.get_running_loop()
        until = loop.time() + FAREWELL_SECONDS
        while True:
            for child in self._running:
                kill_now(self.adoption, child.lineage)
            self._sweep()
            if not (self._running or self._abandoned) or loop.time() >= until:
                return
            await asyncio.sleep(0.01)

    async def health(self) -> Health:
        """Whether the shell is there, if one may be asked for, and orphans stay in sight."""
        shell = self.launcher.shell
        if shell is not None and not await asyncio.to_thread(os.access, shell, os.X_OK):
            return Health(ok=False, detail=f"{shell} may not be executed")
        if not self.adoption.subreaper:
            return Health(ok=False, detail=texts.NO_SUBREAPER)
        return Health(ok=True)


@asynccontextmanager
async def open_executor(context: PluginContext, settings: BashSettings) -> AsyncIterator[BashExecutor]:
    """Read the catalogue and look up what the settings name; ``SettingsError`` where something is not there."""
    catalogue = await asyncio.to_thread(Catalogue.load, settings)
    adoption = await asyncio.to_thread(Adoption.of_this_process)
    executor = BashExecutor(
        catalogue=catalogue,
        settings=settings,
        launcher=await asyncio.to_thread(Launcher.make, settings, adoption),
        adoption=adoption,
        limit=context.limits.output,
        setting=f"CANDY_{context.plugin.upper()}_ALLOW_COMMAND",
        running=set(),
        abandoned=set(),
    )
    async with asyncio.TaskGroup() as group:
        housekeeping = group.create_task(executor.keep_house())
        try:
            yield executor
        finally:
            housekeeping.cancel()
            await executor.farewell()


def _not_started(error: OSError | ValueError, command: Command, head: Sequence[str], locale: Locale) -> Outcome:
    """With the code that a shell gives where it finds no program, 127, or may not execute it, 126."""
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
