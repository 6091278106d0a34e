"""Opens the executor under test, runs items as the core would, and looks at what they say."""

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
from candy_core.testing.executor.call import Call, Ended, Params, fail
from candy_core.testing.executor.leaks import Watch
from candy_core.testing.executor.subject import Case, Subject
from candy_core.testing.executor.witness import Witness


class Opened:
    """The executor, open."""

    def __init__(self, stage: Stage, executor: object) -> None:
        self.executor = executor
        self._stage = stage

    def start(self, *params: Params, seconds: float | None = None, first: int = 0, locale: Locale = Locale.EN) -> Call:
        """Begin one call: of one item, or of several where the executor takes batches. ``first``: the first's index."""
        spec = self._stage.subject.spec
        items = [
            Item(index=first + number, id=f"item-{first + number}", name="", params=self._stage.read(each))
            for number, each in enumerate(params)
        ]
        return self.start_items(items, seconds=seconds, locale=locale, batch=spec.batch_key is not None)

    def start_items(
        self, items: Sequence[Item[Any]], *, seconds: float | None = None, locale: Locale = Locale.EN, batch: bool
    ) -> Call:
        """The same for items that are made already."""
        subject = self._stage.subject
        run = self._stage.run(subject.end_within if seconds is None else seconds, locale)
        return Call(self.executor, items, run, batch=batch, patience=5 * subject.stop_within)

    async def case(self, case: Case, *, locale: Locale = Locale.EN, seconds: float | None = None) -> Outcome:
        """Run one item to its end and hold it to what its author expects of it."""
        try:
            call = self.start(case.params, seconds=seconds, locale=locale)
        except Invalid as refused:
            outcome = Outcome(status=ItemStatus.FAILED, reason=Reason.BAD_PARAMS, message=str(refused))
        else:
            ended = await call.ended()
            outcome = self._stage.outcome_of(ended, case.params)
        self._stage.expected(outcome, case)
        return outcome


class Stage:
    """Where an executor is tried. ``folder`` is where temporary files go meanwhile."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self.folder = folder
        self.witness = Witness()

    def watch(self) -> Watch:
        """Remember what there is now."""
        return Watch(self.folder, self.subject.not_ours)

    def read(self, params: Params) -> object:
        """Params as the core reads them; raises :class:`Invalid`."""
        return params_reader.read(params, self.subject.spec.params)

    def settings(self) -> object:
        """The settings as the core reads them."""
        try:
            return params_reader.read(self.subject.settings, self.subject.spec.settings)
        except Invalid as refused:
            fail(f"Subject.settings cannot be read as {self.subject.spec.settings.__name__}: {refused}")

    def context(self) -> PluginContext:
        """What the core would lend to the plugin."""
        logger = self.witness.logger(self.subject.plugin)
        return plugin_context(self.subject.plugin, self.subject.credentials, logger=logger, limits=self.subject.limits)

    def run(self, seconds: float, locale: Locale) -> Run:
        """The circumstances of a call that has so many seconds."""
        return Run(
            task_id="suite",
            time=time.time(),
            locale=locale,
            deadline=asyncio.get_running_loop().time() + seconds,
            logger=self.witness.logger(self.subject.plugin),
        )

    @contextlib.asynccontextmanager
    async def opened(self, settings: object | None = None) -> AsyncIterator[Opened]:
        """Open the executor, and close it afterwards."""
        settings = self.settings() if settings is None else settings
        failed: BaseException | None = None
        async with self.subject.spec.open(self.context(), settings) as executor:
            try:
                yield Opened(self, executor)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # the test's affair, not the plugin's
                failed = error
        if failed is not None:
            raise failed

    @contextlib.asynccontextmanager
    async def warm(self) -> AsyncIterator[Opened]:
        """The same, with one ordinary item behind it: what is made at the first and kept is there."""
        async with self.opened() as opened:
            await opened.case(self.subject.ordinary[0])
            yield opened

    def outcome_of(self, ended: Ended, params: Params) -> Outcome:
        """What a call that ended by itself said. Fails the test where it did not, or where it raised."""
        item = self.shown(params)
        if ended.stopped:
            fail(
                f"the item {item} had not ended at its deadline, after {ended.seconds:.1f} s.",
                "What is given as ordinary or failing must end soon by itself; a slow backend is bounded by a timeout.",
            )
        if ended.error is not None:
            fail(
                f"the item {item} raised {type(ended.error).__name__} instead of giving an outcome:",
                self.hidden("".join(traceback.format_exception(ended.error)).rstrip()),
                "An expected failure is Outcome(status=ItemStatus.FAILED, reason=Reason.…, message=…);"
                " whatever is raised is a fault of the plugin, and the item gets `plugin_error`.",
            )
        if ended.outcome is None:
            fail(
                f"the item {item} got no outcome.",
                "run() returns an Outcome; run_batch() yields (item.index, Outcome) once for every item.",
            )
        self.sound(ended.outcome, params)
        return ended.outcome

    def sound(self, outcome: object, params: Params) -> None:
        """Whether an outcome is one that the core can take."""
        item = self.shown(params)
        if not isinstance(outcome, Outcome):
            fail(f"the item {item} gave {type(outcome).__name__} where an Outcome was expected.")
        try:
            encode(outcome)
            f"{outcome.value}{outcome.message}{outcome.details}".encode()
        except (TypeError, ValueError) as error:
            fail(
                f"the outcome of {item} cannot be written as JSON in UTF-8: {error}",
                "stats holds JSON values alone, and texts hold no lone surrogates: decode with errors='replace'.",
            )
        if outcome.reason not in set(Reason) and not outcome.reason.startswith(self.subject.plugin):
            fail(
                f"the outcome of {item} has the reason {outcome.reason!r}, which is none of the contract's.",
                f"Use one of candy_core.Reason, or a word of your own with your plugin's name before it:"
                f" {self.subject.plugin}_…",
            )
        if outcome.status is ItemStatus.FAILED and not outcome.message.strip():
            fail(
                f"the outcome of {item} is failed ({outcome.reason}) and has no message.",
                "Say what failed, in a sentence for whoever reads the report.",
            )

    def expected(self, outcome: Outcome, case: Case) -> None:
        """Whether an outcome is the one that the case expects."""
        said = f"{outcome.status}/{outcome.reason}, value {outcome.value!r}: {outcome.message}\n{outcome.details}"
        for what, wanted, found in (
            ("reason", case.reason, outcome.reason),
            ("value", case.value, outcome.value),
        ):
            if wanted is not None and wanted != found:
                fail(
                    f"the item {self.shown(case.params)} must end with the {what} {str(wanted)!r} and ended as",
                    self.hidden(said).rstrip(),
                )
        if case.told is not None and not re.search(case.told, f"{outcome.message}\n{outcome.details}"):
            fail(
                f"neither message nor details of the item {self.shown(case.params)} tell {case.told!r}:",
                self.hidden(said).rstrip(),
            )

    def shown(self, params: Params) -> str:
        """An item's params for a message of the suite, short and without its secrets."""
        text = self.hidden(repr(dict(params)))
        return text if len(text) <= 200 else f"{text[:200]}…"

    def hidden(self, text: str) -> str:
        """A text without the subject's secrets: a test's output is a log, too."""
        for secret in self.subject.secrets:
            text = text.replace(secret, Secret.MASK)
        return text


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let temporary files of this process and of its children go to ``folder``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, str(folder))
        yield


class SuiteBase:
    """What the parts of the suite share."""

    @pytest.fixture
    def subject(self) -> Subject:
        """The executor under test; a subclass gives it."""
        raise NotImplementedError("a subclass of ExecutorSuite has a fixture `subject` that gives a Subject")

    @pytest.fixture
    def stage(self, subject: Subject, tmp_path: Path) -> Iterator[Stage]:
        """Where it is tried."""
        folder = tmp_path / "temporary-files"
        folder.mkdir()
        with temporary_files_in(folder):
            yield Stage(subject, folder)


def needed(given: object, what: str, why: str) -> None:
    """Skip a test that the author gave nothing for, and say what to give."""
    if not given:
        pytest.skip(f"Subject.{what} is not given: {why}")
