"""Runs items: on one host, or on many at one time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from attrs import define, evolve, frozen

from candy_core import Health, Item, ItemStatus, Locale, Outcome, PluginContext, Problem, Reason, Run, item_sentences
from candy_kit_command import Catalogue, Command, Finished, judge_output
from candy_ssh import texts
from candy_ssh.connecting import Target
from candy_ssh.failures import Unable
from candy_ssh.fan_out import summed_up
from candy_ssh.host import Host, allowed
from candy_ssh.host_keys import HostKeys
from candy_ssh.login import Logins
from candy_ssh.params import SshParams
from candy_ssh.pool import Pool
from candy_ssh.running import Broken, CommandRun, Ended, Refused
from candy_ssh.settings import JumpHost, SshSettings
from candy_ssh.walker import MAX_LINE, launch_line

ALLOW_COMMAND = "CANDY_SSH_ALLOW_COMMAND"
ALLOWED_HOSTS = "CANDY_SSH_ALLOWED_HOSTS"


@frozen(kw_only=True)
class _Work:
    """What is the same for all hosts of an item."""

    params: SshParams
    command: Command
    run: Run


@define(kw_only=True)
class SshExecutor:
    """The executor for items of the type ``ssh``."""

    context: PluginContext
    settings: SshSettings
    catalogue: Catalogue
    host_keys: HostKeys
    logins: Logins
    pool: Pool

    async def run(self, item: Item[SshParams], run: Run) -> Outcome:
        """Run the item's command on its host or hosts; a cancellation ends it over there, too."""
        params = item.params
        for host in params.targets:
            if not allowed(host, self.settings.allowed_hosts):
                sentence = texts.sentence(run.locale, texts.HOST_NOT_ALLOWED, host=host, setting=ALLOWED_HOSTS)
                if params.host is not None or not self.settings.allowed_hosts:
                    return _failed(Reason.NOT_ALLOWED, sentence)
        command = self.catalogue.command_of(params, self.settings, run.locale, setting=ALLOW_COMMAND)
        if isinstance(command, Outcome):
            return command
        shell = command.shell
        argv = command.argv if shell is None else ("sh", "-c", shell)
        if len(launch_line(argv, "", plain_words=True).encode("utf-8", "surrogateescape")) > MAX_LINE:
            problem = Problem("$.params", texts.sentence(run.locale, texts.TOO_LONG, limit=MAX_LINE))
            return _failed(Reason.BAD_PARAMS, item_sentences.bad_params(run.locale, [problem]))
        work = _Work(params=params, command=command, run=run)
        if params.host is not None:
            return await self._on(params.host, work)
        return await self._on_each(params.hosts, work)

    async def health(self) -> Health:
        """Whether anything is allowed, and whether the keys of hosts can be checked."""
        if not self.settings.allowed_hosts:
            return Health(ok=True, detail=f"no host is allowed: {ALLOWED_HOSTS} is not set")
        try:
            await self.host_keys.trusted(Host("localhost"), 22)
        except Unable as unable:
            if unable.reason is Reason.NOT_CONFIGURED:
                return Health(ok=False, detail=f"host keys cannot be checked: {unable.why}")
        return Health(ok=True)

    async def _on_each(self, hosts: Sequence[Host], work: _Work) -> Outcome:
        found: dict[Host, Outcome] = {}
        gate = asyncio.Semaphore(self.settings.concurrency)

        async def one(host: Host) -> None:
            async with gate:
                found[host] = _failed(Reason.CANCELED, texts.sentence(work.run.locale, texts.NOT_REACHED))
                try:
                    found[host] = await self._on(host, work)
                except Exception:
                    # One host costs only itself; what it was is in the log, and only there.
                    work.run.logger.exception("ssh.host_failed", host=host)
                    found[host] = _failed(Reason.PLUGIN_ERROR, item_sentences.plugin_error(work.run.locale, "ssh"))

        try:
            async with asyncio.TaskGroup() as group:
                for host in hosts:
                    group.create_task(one(host))
        except asyncio.CancelledError:
            if not found:
                raise
        not_run = _failed(Reason.CANCELED, texts.sentence(work.run.locale, texts.NOT_RUN))
        return summed_up([(host, found.get(host, not_run)) for host in hosts], work.run.locale, self._limit)

    async def _on(self, host: Host, work: _Work) -> Outcome:
        locale = work.run.locale
        head = (f"Host: {host}", f"Command: {work.command.label}")
        try:
            target = await self._target(host, work.params)
            try:
                ended = await self._at(target, work)
            except Refused as refused:
                if not refused.stale:
                    raise
                ended = await self._at(target, work)  # a connection that had been idle, and nothing was started
        except Unable as unable:
            return _unable(host, unable, locale)
        except Refused as refused:
            why = texts.sentence(locale, texts.NO_SESSION, why=refused)
            return _failed(Reason.UNREACHABLE, item_sentences.unreachable(locale, host, why))
        except Broken as broken:
            return self._broken(host, broken.finished, work, head)
        told = judge_output(work.params, ended.finished, locale, head, work.command)
        if ended.canceled:
            message = texts.sentence(locale, texts.STILL_RUNNING)
            return evolve(told, status=ItemStatus.FAILED, reason=Reason.CANCELED, message=message)
        return told

    async def _at(self, target: Target, work: _Work) -> Ended:
        async with self.pool.session(target) as connection:
            run = CommandRun(
                connection=connection,
                fresh=lambda: self.pool.fresh(target),
                command=work.command,
                params=work.params,
                limit=self._limit,
                open_timeout=self.settings.connect_timeout,
                logger=work.run.logger,
            )
            try:
                return await run.run()
            except Refused as refused:
                if refused.stale:
                    self.pool.discard(connection)  # so that nobody else waits for it
                raise

    def _broken(self, host: Host, finished: Finished, work: _Work, head: Sequence[str]) -> Outcome:
        locale = work.run.locale
        told = judge_output(work.params, finished, locale, head, work.command)
        message = item_sentences.unreachable(locale, host, texts.sentence(locale, texts.LOST))
        return evolve(told, status=ItemStatus.FAILED, reason=Reason.UNREACHABLE, message=message, value="")

    async def _target(self, host: Host, params: SshParams) -> Target:
        if not allowed(host, self.settings.allowed_hosts):
            raise Unable(Reason.NOT_ALLOWED, "")
        trusted = await self.host_keys.trusted(host, params.port)
        login = await self.logins.of(params, host)
        via = None
        for jump in self.settings.jump_hosts.values():
            if allowed(host, jump.for_hosts):
                via = await self._jump(jump)
                break
        return Target(host=host, port=params.port, login=login, trusted=trusted, via=via)

    async def _jump(self, jump: JumpHost) -> Target:
        trusted = await self.host_keys.trusted(jump.host, jump.port)
        login = await self.logins.named(jump.credential, jump.host)
        via = None if jump.via is None else await self._jump(self.settings.jump_hosts[jump.via])
        return Target(host=jump.host, port=jump.port, login=login, trusted=trusted, via=via)

    @property
    def _limit(self) -> int:
        return self.context.limits.output


def _unable(host: Host, unable: Unable, locale: Locale) -> Outcome:
    match unable.reason:
        case Reason.NOT_ALLOWED if not unable.why:
            message = texts.sentence(locale, texts.HOST_NOT_ALLOWED, host=host, setting=ALLOWED_HOSTS)
        case Reason.NOT_ALLOWED:
            message = texts.sentence(locale, texts.NOT_ALLOWED, why=unable.why)
        case Reason.NOT_CONFIGURED if ": " in unable.why:
            message = texts.sentence(locale, texts.NOT_USABLE, why=unable.why)
        case Reason.NOT_CONFIGURED:
            message = item_sentences.not_configured(locale, unable.why)
        case Reason.BAD_PARAMS:
            path, _, problem = unable.why.partition(": ")
            message = item_sentences.bad_params(locale, [Problem(path, problem)])
        case Reason.HOST_KEY_MISMATCH:
            message = texts.sentence(locale, texts.HOST_KEY_MISMATCH, host=host, why=unable.why)
        case Reason.AUTH_FAILED:
            message = texts.sentence(locale, texts.AUTH_FAILED, host=host, why=unable.why)
        case _:
            message = item_sentences.unreachable(locale, host, unable.why)
    return _failed(unable.reason, message)


def _failed(reason: Reason, message: str) -> Outcome:
    return Outcome(status=ItemStatus.FAILED, reason=reason, message=message)
