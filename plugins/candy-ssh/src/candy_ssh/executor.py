"""Runs items of the type ``ssh``, on one host or on many (contract section 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import define, evolve, frozen

from candy_core import Health, Item, ItemStatus, Locale, Outcome, PluginContext, Problem, Reason, Run, item_sentences
from candy_kit_command import Command, CommandTemplates, judge_output
from candy_ssh import texts
from candy_ssh.command_run import CommandNotStarted, CommandRun, ConnectionLost, RunResult, start_line
from candy_ssh.connection import Target
from candy_ssh.failures import HostFailure
from candy_ssh.host import Host, allowed
from candy_ssh.host_keys import HostKeys
from candy_ssh.login import Logins
from candy_ssh.params import SshParams
from candy_ssh.pool import Pool
from candy_ssh.remote_scripts import MAX_LINE
from candy_ssh.settings import JumpHost, SshSettings
from candy_ssh.summary import summarize

ALLOW_COMMAND = "CANDY_SSH_ALLOW_COMMAND"
ALLOWED_HOSTS = "CANDY_SSH_ALLOWED_HOSTS"


@frozen(kw_only=True)
class _ItemCall:
    """What is the same for all hosts of an item."""

    params: SshParams
    command: Command
    run: Run


@define(kw_only=True)
class SshExecutor:
    """The executor for items of the type ``ssh``."""

    context: PluginContext
    settings: SshSettings
    templates: CommandTemplates
    host_keys: HostKeys
    logins: Logins
    pool: Pool

    async def run(self, item: Item[SshParams], run: Run) -> Outcome:
        """Run the item's command on its host or hosts. Cancellation terminates it on the remote host, too."""
        params = item.params
        for host in params.targets:
            if not allowed(host, self.settings.allowed_hosts):
                sentence = texts.sentence(run.locale, texts.HOST_NOT_ALLOWED, host=host, setting=ALLOWED_HOSTS)
                if params.host is not None or not self.settings.allowed_hosts:
                    return Outcome.failed(Reason.NOT_ALLOWED, sentence)
        command = self.templates.command_of(params, self.settings, run.locale, setting=ALLOW_COMMAND)
        if isinstance(command, Outcome):
            return command
        if len(start_line(command, "").encode("utf-8", "surrogateescape")) > MAX_LINE:
            problem = Problem("$.params", texts.sentence(run.locale, texts.TOO_LONG, limit=MAX_LINE))
            return Outcome.failed(Reason.BAD_PARAMS, item_sentences.bad_params(run.locale, [problem]))
        call = _ItemCall(params=params, command=command, run=run)
        if params.host is not None:
            return await self._run_on(params.host, call)
        return await self._run_on_each(params.hosts, call)

    async def health(self) -> Health:
        """Whether host keys can be checked; the detail says if no host is allowed."""
        if not self.settings.allowed_hosts:
            return Health(ok=True, detail=f"no host is allowed: {ALLOWED_HOSTS} is not set")
        try:
            await self.host_keys.trusted(Host("localhost"), 22)
        except HostFailure as failure:
            if failure.reason is Reason.NOT_CONFIGURED:
                return Health(ok=False, detail=f"host keys cannot be checked: {failure.why}")
        return Health(ok=True)

    async def _run_on_each(self, hosts: Sequence[Host], call: _ItemCall) -> Outcome:
        outcomes: dict[Host, Outcome] = {}
        locale = call.run.locale
        slots = asyncio.Semaphore(self.settings.concurrency)

        async def one(host: Host) -> None:
            async with slots:
                outcomes[host] = Outcome.failed(Reason.CANCELED, texts.sentence(locale, texts.NOT_REACHED))
                try:
                    outcomes[host] = await self._run_on(host, call)
                except Exception:
                    # A failure on one host must not affect the others. Its cause is only logged.
                    call.run.logger.exception("ssh_host_failed", host=host)
                    outcomes[host] = Outcome.failed(Reason.PLUGIN_ERROR, item_sentences.plugin_error(locale, "ssh"))

        try:
            async with asyncio.TaskGroup() as group:
                for host in hosts:
                    group.create_task(one(host))
        except asyncio.CancelledError:
            if not outcomes:
                raise
        not_run = Outcome.failed(Reason.CANCELED, texts.sentence(locale, texts.NOT_RUN))
        return summarize([(host, outcomes.get(host, not_run)) for host in hosts], locale, self._limit)

    async def _run_on(self, host: Host, call: _ItemCall) -> Outcome:
        locale = call.run.locale
        head = (f"Host: {host}", f"Command: {call.command.label}")
        try:
            target = await self._target(host, call.params)
            try:
                result = await self._connect_and_run(target, call)
            except CommandNotStarted as error:
                if not error.stale:
                    raise
                result = await self._connect_and_run(target, call)  # an idle connection had died; nothing was started
        except HostFailure as failure:
            return _failed(host, failure, locale)
        except CommandNotStarted as error:
            why = texts.sentence(locale, texts.NO_SESSION, why=error)
            return Outcome.failed(Reason.UNREACHABLE, item_sentences.unreachable(locale, host, why))
        except ConnectionLost as error:
            outcome = judge_output(call.params, error.command_result, locale, head, call.command)
            message = item_sentences.unreachable(locale, host, texts.sentence(locale, texts.LOST))
            return evolve(outcome, status=ItemStatus.FAILED, reason=Reason.UNREACHABLE, message=message, value="")
        outcome = judge_output(call.params, result.command_result, locale, head, call.command)
        if result.canceled:
            message = texts.sentence(locale, texts.STILL_RUNNING)
            return evolve(outcome, status=ItemStatus.FAILED, reason=Reason.CANCELED, message=message)
        return outcome

    async def _connect_and_run(self, target: Target, call: _ItemCall) -> RunResult:
        async with self.pool.session(target) as connection:
            run = CommandRun(
                connection=connection,
                fresh=lambda: self.pool.fresh(target),
                command=call.command,
                params=call.params,
                limit=self._limit,
                open_timeout=self.settings.connect_timeout,
                logger=call.run.logger,
            )
            try:
                return await run.run()
            except CommandNotStarted as error:
                if error.stale:
                    self.pool.discard(connection)  # so that no other run waits for it
                raise

    async def _target(self, host: Host, params: SshParams) -> Target:
        if not allowed(host, self.settings.allowed_hosts):
            raise HostFailure(Reason.NOT_ALLOWED, "")
        trusted = await self.host_keys.trusted(host, params.port)
        login = await self.logins.for_params(params, host)
        via = None
        for jump in self.settings.jump_hosts.values():
            if allowed(host, jump.for_hosts):
                via = await self._jump(jump)
                break
        return Target(host=host, port=params.port, login=login, trusted=trusted, via=via)

    async def _jump(self, jump: JumpHost) -> Target:
        trusted = await self.host_keys.trusted(jump.host, jump.port)
        login = await self.logins.for_credential(jump.credential, jump.host)
        via = None if jump.via is None else await self._jump(self.settings.jump_hosts[jump.via])
        return Target(host=jump.host, port=jump.port, login=login, trusted=trusted, via=via)

    @property
    def _limit(self) -> int:
        return self.context.limits.output


@asynccontextmanager
async def open_executor(
    context: PluginContext, settings: SshSettings, templates: CommandTemplates
) -> AsyncIterator[SshExecutor]:
    """The executor, until the context ends. Raises ``SettingsError`` for keys that cannot be read."""
    # At INFO the library logs every command line, which may contain a password.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    pool = Pool(settings)
    try:
        yield SshExecutor(
            context=context,
            settings=settings,
            templates=templates,
            host_keys=HostKeys.from_settings(settings),
            logins=Logins(settings, context.credential),
            pool=pool,
        )
    finally:
        await pool.close()


def _failed(host: Host, failure: HostFailure, locale: Locale) -> Outcome:
    match failure.reason:
        case Reason.NOT_ALLOWED if not failure.why:
            message = texts.sentence(locale, texts.HOST_NOT_ALLOWED, host=host, setting=ALLOWED_HOSTS)
        case Reason.NOT_ALLOWED:
            message = texts.sentence(locale, texts.NOT_ALLOWED, why=failure.why)
        case Reason.NOT_CONFIGURED if ": " in failure.why:
            message = texts.sentence(locale, texts.NOT_USABLE, why=failure.why)
        case Reason.NOT_CONFIGURED:
            message = item_sentences.not_configured(locale, failure.why)
        case Reason.BAD_PARAMS:
            path, _, problem = failure.why.partition(": ")
            message = item_sentences.bad_params(locale, [Problem(path, problem)])
        case Reason.HOST_KEY_MISMATCH:
            message = texts.sentence(locale, texts.HOST_KEY_MISMATCH, host=host, why=failure.why)
        case Reason.AUTH_FAILED:
            message = texts.sentence(locale, texts.AUTH_FAILED, host=host, why=failure.why)
        case _:
            message = item_sentences.unreachable(locale, host, failure.why)
    return Outcome.failed(failure.reason, message)
