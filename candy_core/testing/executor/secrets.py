"""Secrets must not appear in a log, a repr, a result, an error, or in what a child process gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from candy_core.codec import dumps, encode, params_reader, to_json
from candy_core.errors import Invalid
from candy_core.model.task import Json, Locale
from candy_core.testing.executor.base import Harness, Opened, SuiteBase, require
from candy_core.testing.executor.call import Call, Params, fail
from candy_core.testing.executor.log_capture import find_secrets
from candy_core.testing.executor.processes import Process, descendants

WHY = "list every secret text within settings, params or credentials"


class SecretsSuite(SuiteBase):
    """Contract section 1: no response and no log ever shows a secret."""

    async def test_no_secret_is_logged_or_returned(self, harness: Harness) -> None:
        """Checks everything that is logged or returned in a run, by any logger and at any level."""
        require(harness.subject.secrets, "secrets", WHY)
        subject, log = harness.subject, harness.log
        _check_given_secrets(harness)
        with log.capture():
            settings = harness.settings()
            _record_value(harness, "the settings", settings)
            for params in _readable(harness):
                _record_value(harness, "the params", harness.read(params))
            log.add("the announcement", repr(subject.spec))
            log.add("the context", repr(harness.context()))
            try:
                async with harness.opened(settings) as opened:
                    log.add("the executor's repr", repr(opened.executor))
                    await _run_all(harness, opened)
                    if subject.spec.check is not None:
                        log.add("check()", repr(await subject.spec.check(opened.executor)))
            except Exception as error:  # noqa: BLE001  # other tests forbid exceptions; this one checks their text
                log.add_error("an exception", error)
        for where, text in log.texts:
            for number, how in find_secrets(text, subject.secrets):
                fail(
                    f"Subject.secrets[{number}] appears in {where}, {how}:",
                    harness.masked(text)[:2000],
                    "Keep it in a candy_core.Secret, whose repr and str are masked, and reveal() it only where it is"
                    " sent; give a plain field `repr=False`; leave it out of messages and details.",
                )

    def test_an_error_does_not_repeat_a_secret(self, harness: Harness) -> None:
        """Contract section 1: ``errors`` "never echoes a secret's value"."""
        require(harness.subject.secrets, "secrets", WHY)
        _check_errors(harness, "settings", harness.subject.spec.settings, harness.subject.settings)
        for params in _readable(harness):
            _check_errors(harness, "params", harness.subject.spec.params, params)

    async def test_no_child_process_gets_a_secret(self, harness: Harness) -> None:
        """Every user can read command lines, and child processes inherit environments."""
        require(harness.subject.secrets, "secrets", WHY)
        async with harness.opened() as opened:
            before = set(descendants())
            waiting = [opened.start(params, first=index) for index, params in enumerate(harness.subject.endless)]
            passing = [opened.start(case.params) for case in harness.subject.ordinary]
            try:
                for _ in range(20):
                    for key, process in descendants().items():
                        if key not in before and not harness.subject.not_ours(process):
                            _check_process(harness, process)
                    await asyncio.sleep(0.02)
            finally:
                await asyncio.gather(*(call.stop() for call in (*waiting, *passing)))


def _check_process(harness: Harness, process: Process) -> None:
    for file, what in (("cmdline", "command line"), ("environ", "environment")):
        for number, how in find_secrets(process.read(file), harness.subject.secrets):
            fail(
                f"Subject.secrets[{number}] is in the {what} of a process ({process.name}), {how}.",
                "Pass a secret to a process through a pipe or a file that only it can read;"
                " give it its own environment (env=…), not the agent's.",
            )


async def _run_all(harness: Harness, opened: Opened) -> None:
    for locale in Locale:
        for params in _readable(harness):
            seconds = 0.5 if params in harness.subject.endless else 10.0
            await _record(harness, opened.start(params, locale=locale, seconds=seconds))


async def _record(harness: Harness, call: Call) -> None:
    result = await call.result()
    if result.outcome is not None:
        harness.log.add("an outcome's repr", repr(result.outcome))
        with contextlib.suppress(TypeError, ValueError):
            harness.log.add("a result", encode(result.outcome).decode())
    if result.error is not None:
        harness.log.add_error("an exception", result.error)


def _record_value(harness: Harness, what: str, record: Any) -> None:
    harness.log.add(f"the repr of {what}", f"{record!r} {record!s}")
    harness.log.add(f"{what} as JSON", dumps(to_json(record)).decode())


def _check_errors(harness: Harness, what: str, kind: type[Any], written: Mapping[str, Json]) -> None:
    """Make each value that contains a secret invalid in several ways, and check the error messages."""
    for key, value in written.items():
        if not find_secrets(dumps(value).decode(), harness.subject.secrets):
            continue
        secret = harness.subject.secrets[find_secrets(dumps(value).decode(), harness.subject.secrets)[0][0]]
        invalid: Sequence[Json] = (
            [secret],
            {"key": secret},
            f"{secret}\x00\n",
            f"@{secret}:/ ://{secret}@[",
            f'{{"key": "{secret}", [',
            12345,
        )
        for wrong in invalid:
            try:
                params_reader.read({**written, key: wrong}, kind)
            except Invalid as error:
                text = f"{error} {error.problems!r}"
                for number, how in find_secrets(text, harness.subject.secrets):
                    fail(
                        f"Subject.secrets[{number}] is repeated ({how}) in the error about {what} {key!r}:",
                        harness.masked(text),
                        "A ValueError of `parse`, or a Mismatch, must say what is allowed and not what was given.",
                    )


def _readable(harness: Harness) -> list[Params]:
    subject = harness.subject
    given = [*(case.params for case in (*subject.ordinary, *subject.failures)), *subject.endless]
    readable = []
    for params in given:
        try:
            harness.read(params)
        except Invalid as error:
            harness.log.add("the error about bad params", str(error))
            continue
        readable.append(params)
    return readable


def _check_given_secrets(harness: Harness) -> None:
    """A secret that the subject does not use would prove nothing."""
    subject = harness.subject
    given = [*(case.params for case in (*subject.ordinary, *subject.failures)), *subject.endless]
    text = dumps([dict(subject.settings), *map(dict, given), dict(subject.credentials)]).decode()
    for number, secret in enumerate(subject.secrets):
        if len(secret) < 6:
            fail(f"Subject.secrets[{number}] is shorter than 6 characters, and may appear anywhere by chance")
        if not any(number == found for found, _ in find_secrets(text, subject.secrets)):
            fail(f"Subject.secrets[{number}] is neither in the settings nor in the params nor in the credentials")
