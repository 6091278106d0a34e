"""Opens the executor under test, runs items as the core would, and checks their outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from candy_core.codec import encode, params_reader
from candy_core.errors import Invalid
from candy_core.model.secret import Secret
from candy_core.model.task import ItemStatus, Locale, Outcome, Reason
from candy_core.ports.context import PluginContext
from candy_core.ports.executor import Item, Run
from candy_core.testing.context import plugin_context
from candy_core.testing.executor.call import Call, CallResult, Params, fail
from candy_core.testing.executor.leaks import LeakCheck
from candy_core.testing.executor.log_capture import LogCapture
from candy_core.testing.executor.subject import Case, Subject


class Opened:
    """The open executor."""

    def __init__(self, harness: Harness, executor: object) -> None:
        self.executor = executor
        self._harness = harness

    def start(self, *params: Params, seconds: float | None = None, first: int = 0, locale: Locale = Locale.EN) -> Call:
        """Start one call with one item, or several if the executor takes batches. ``first``: the index of the first."""
        spec = self._harness.subject.spec
        items = [
            Item(index=first + number, id=f"item-{first + number}", name="", params=self._harness.read(each))
            for number, each in enumerate(params)
        ]
        return self.start_items(items, seconds=seconds, locale=locale, batch=spec.batch_key is not None)

    def start_items(
        self, items: Sequence[Item[Any]], *, seconds: float | None = None, locale: Locale = Locale.EN, batch: bool
    ) -> Call:
        """The same with existing items."""
        subject = self._harness.subject
        run = self._harness.run(subject.end_within if seconds is None else seconds, locale)
        return Call(self.executor, items, run, batch=batch, cancel_timeout=5 * subject.stop_within)

    async def case(self, case: Case, *, locale: Locale = Locale.EN, seconds: float | None = None) -> Outcome:
        """Run one item to its end and check that it ends as the case says."""
        try:
            call = self.start(case.params, seconds=seconds, locale=locale)
        except Invalid as error:
            outcome = Outcome(status=ItemStatus.FAILED, reason=Reason.BAD_PARAMS, message=str(error))
        else:
            outcome = self._harness.outcome_of(await call.result(), case.params)
        self._harness.check_case(outcome, case)
        return outcome


class Harness:
    """Opens the executor under test and checks its outcomes. ``folder`` gets its temporary files."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self.folder = folder
        self.log = LogCapture()

    def leak_check(self) -> LeakCheck:
        """Start a leak check: what exists now is not a leak."""
        return LeakCheck(self.folder, self.subject.not_ours)

    def read(self, params: Params) -> object:
        """Read params as the core does. Raises :class:`Invalid`."""
        return params_reader.read(params, self.subject.spec.params)

    def settings(self) -> object:
        """Read the settings as the core does."""
        try:
            return params_reader.read(self.subject.settings, self.subject.spec.settings)
        except Invalid as error:
            fail(f"Subject.settings cannot be read as {self.subject.spec.settings.__name__}: {error}")

    def context(self) -> PluginContext:
        """The context that the core would give to the plugin."""
        logger = self.log.logger(self.subject.plugin)
        return plugin_context(self.subject.plugin, self.subject.credentials, logger=logger, limits=self.subject.limits)

    def run(self, seconds: float, locale: Locale) -> Run:
        """The context of a call with this many seconds until its deadline."""
        return Run(
            task_id="suite",
            time=time.time(),
            locale=locale,
            deadline=asyncio.get_running_loop().time() + seconds,
            logger=self.log.logger(self.subject.plugin),
        )

    @contextlib.asynccontextmanager
    async def opened(self, settings: object | None = None) -> AsyncIterator[Opened]:
        """Open the executor and close it afterwards."""
        settings = self.settings() if settings is None else settings
        failed: BaseException | None = None
        async with self.subject.spec.open(self.context(), settings) as executor:
            try:
                yield Opened(self, executor)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # must not reach the plugin
                failed = error
        if failed is not None:
            raise failed

    @contextlib.asynccontextmanager
    async def warmed_up(self) -> AsyncIterator[Opened]:
        """The same after one ordinary item, so that what the first item creates and keeps exists already."""
        async with self.opened() as opened:
            await opened.case(self.subject.ordinary[0])
            yield opened

    def outcome_of(self, result: CallResult, params: Params) -> Outcome:
        """The outcome of a call. Fails the test if the call had to be stopped, raised, or gave no outcome."""
        item = self.display(params)
        if result.stopped:
            fail(
                f"the item {item} had not ended at its deadline, after {result.seconds:.1f} s.",
                "Items in Subject.ordinary and Subject.failures must end soon; a slow backend needs a timeout.",
            )
        if result.error is not None:
            fail(
                f"the item {item} raised {type(result.error).__name__} instead of giving an outcome:",
                self.masked("".join(traceback.format_exception(result.error)).rstrip()),
                "An expected failure is Outcome(status=ItemStatus.FAILED, reason=Reason.…, message=…);"
                " an exception counts as a fault of the plugin, and the item gets `plugin_error`.",
            )
        if result.outcome is None:
            fail(
                f"the item {item} got no outcome.",
                "run() returns an Outcome; run_batch() yields (item.index, Outcome) once for every item.",
            )
        self.check_outcome(result.outcome, params)
        return result.outcome

    def check_outcome(self, outcome: object, params: Params) -> None:
        """Check that the core can process an outcome."""
        item = self.display(params)
        if not isinstance(outcome, Outcome):
            fail(f"the item {item} gave {type(outcome).__name__} where an Outcome was expected.")
        try:
            encode(outcome)
            f"{outcome.value}{outcome.message}{outcome.details}".encode()
        except (TypeError, ValueError) as error:
            fail(
                f"the outcome of {item} cannot be written as JSON in UTF-8: {error}",
                "stats may hold only JSON values, and strings no lone surrogates: decode with errors='replace'.",
            )
        if outcome.reason not in set(Reason) and not outcome.reason.startswith(self.subject.plugin):
            fail(
                f"the outcome of {item} has the reason {outcome.reason!r}, which is not in the contract.",
                f"Use one of candy_core.Reason, or your own with the prefix of your plugin's name:"
                f" {self.subject.plugin}_…",
            )
        if outcome.status is ItemStatus.FAILED and not outcome.message.strip():
            fail(
                f"the outcome of {item} is failed ({outcome.reason}) and has no message.",
                "Say what failed in a sentence for the readers of the report.",
            )

    def check_case(self, outcome: Outcome, case: Case) -> None:
        """Check that an outcome is the one that the case expects."""
        shown = f"{outcome.status}/{outcome.reason}, value {outcome.value!r}: {outcome.message}\n{outcome.details}"
        for what, expected, found in (
            ("reason", case.reason, outcome.reason),
            ("value", case.value, outcome.value),
        ):
            if expected is not None and expected != found:
                fail(
                    f"the item {self.display(case.params)} must end with the {what} {str(expected)!r} and ended as",
                    self.masked(shown).rstrip(),
                )
        if case.matches is not None and not re.search(case.matches, f"{outcome.message}\n{outcome.details}"):
            fail(
                f"neither message nor details of the item {self.display(case.params)} match {case.matches!r}:",
                self.masked(shown).rstrip(),
            )

    def display(self, params: Params) -> str:
        """An item's params for a message, shortened and without secrets."""
        text = self.masked(repr(dict(params)))
        return text if len(text) <= 200 else f"{text[:200]}…"

    def masked(self, text: str) -> str:
        """A text without the subject's secrets: the output of a test is a log as well."""
        for secret in self.subject.secrets:
            text = text.replace(secret, Secret.MASK)
        return text


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Make this process and its children put temporary files into ``folder``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, str(folder))
        yield


class SuiteBase:
    """The base of the suite's classes."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The executor under test, given by a subclass."""
        raise NotImplementedError("a subclass of ExecutorSuite has a fixture `subject` that gives a Subject")

    @pytest.fixture
    def harness(self, subject: Subject, tmp_path: Path) -> Iterator[Harness]:
        """The harness that the tests use."""
        folder = tmp_path / "temporary-files"
        folder.mkdir()
        with temporary_files_in(folder):
            yield Harness(subject, folder)


def require(given: object, what: str, why: str) -> None:
    """Skip a test that needs a field of the subject which is not given, and say what to give."""
    if not given:
        pytest.skip(f"Subject.{what} is not given: {why}")
