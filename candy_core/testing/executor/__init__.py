'''The contract suite of executors: subclass it, describe your executor, and it checks all that the port requires.

It checks the announcement, outcomes, deadlines and cancels, oversized output, secrets, the event loop, opening and
closing, many items at once, and leaks: processes, sockets, tasks, threads, files. The message of a failed test ends
with what to do. A complete plugin with its test::

    import asyncio
    from contextlib import asynccontextmanager
    from pathlib import Path

    import pytest
    from attrs import frozen

    from candy_core import ExecutorSpec, ItemStatus, Outcome, Reason
    from candy_core.testing.executor import Case, ExecutorSuite, Oversized, Subject


    @frozen(kw_only=True)
    class MarkerParams:
        name: str


    @frozen(kw_only=True)
    class MarkerSettings:
        folder: Path | None = None


    class MarkerExecutor:
        """Waits for a file that a nightly job writes at its end, and returns its content."""

        def __init__(self, folder, limit):
            self._folder = folder
            self._limit = limit

        async def run(self, item, run):
            if self._folder is None:
                return failed(Reason.NOT_CONFIGURED, "CANDY_MARKER_FOLDER is not set")
            if Path(item.params.name).name != item.params.name:
                return failed(Reason.NOT_ALLOWED, "the name of a marker has no slashes")
            while (text := await asyncio.to_thread(start_of, self._folder / item.params.name, self._limit)) is None:
                await asyncio.sleep(0.05)
            if len(text) > self._limit:
                return failed(Reason.TOO_LARGE, f"the marker has more than {self._limit} bytes")
            return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK, value=text.decode(errors="replace").strip())


    def start_of(path, limit):
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            return None


    def failed(reason, message):
        return Outcome(status=ItemStatus.FAILED, reason=reason, message=message)


    @asynccontextmanager
    async def open_marker(context, settings):
        yield MarkerExecutor(settings.folder, context.limits.output)


    class TestMarker(ExecutorSuite):
        @pytest.fixture
        def subject(self, tmp_path_factory):
            folder = tmp_path_factory.mktemp("markers")
            for number in range(60):
                (folder / f"job-{number}").write_text(str(number))
            with (folder / "huge").open("wb") as file:
                file.truncate(500_000_000)
            return Subject(
                plugin="marker",
                spec=ExecutorSpec(name="marker", params=MarkerParams, settings=MarkerSettings, open=open_marker),
                settings={"folder": str(folder)},
                ordinary=[Case(params={"name": "job-7"}, value="7")],
                failures=[
                    Case(params={"name": "../job-7"}, reason="not_allowed", matches="no slashes"),
                    Case(params={}, reason="bad_params"),
                ],
                endless=[{"name": "never"}],
                oversized=[Oversized(params={"name": "huge"}, reason="too_large")],
                numbered=lambda number: Case(params={"name": f"job-{number}"}, value=str(number)),
            )

:class:`Subject` explains every field. A test that needs a field that is not given is skipped and says what to give.
The suite needs ``candy-core[testing]``, pytest-asyncio's ``asyncio_mode = "auto"``, and Linux, since it finds leaks in
``/proc``.

Run a server that items talk to in its own process: inside the test's process its sockets and tasks would count as
leaks of the plugin.
'''

import pytest

MODULES = (
    "announcement",
    "base",
    "blocking",
    "call",
    "concurrency",
    "leaks",
    "opening",
    "outcomes",
    "oversized",
    "secrets",
    "stopping",
)
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in MODULES))

from candy_core.testing.executor.announcement import AnnouncementSuite  # noqa: E402  # the same
from candy_core.testing.executor.blocking import BlockingSuite  # noqa: E402  # rewritten first
from candy_core.testing.executor.concurrency import ConcurrencySuite  # noqa: E402  # the same
from candy_core.testing.executor.opening import OpeningSuite  # noqa: E402  # the same
from candy_core.testing.executor.outcomes import OutcomesSuite  # noqa: E402  # the same
from candy_core.testing.executor.oversized import OversizedSuite  # noqa: E402  # the same
from candy_core.testing.executor.processes import Process  # noqa: E402  # the same
from candy_core.testing.executor.secrets import SecretsSuite  # noqa: E402  # the same
from candy_core.testing.executor.stopping import StoppingSuite  # noqa: E402  # the same
from candy_core.testing.executor.subject import Case, Oversized, Subject  # noqa: E402  # the same

__all__ = ["Case", "ExecutorSuite", "Oversized", "Process", "Subject"]


class ExecutorSuite(
    AnnouncementSuite,
    OpeningSuite,
    OutcomesSuite,
    ConcurrencySuite,
    StoppingSuite,
    OversizedSuite,
    BlockingSuite,
    SecretsSuite,
):
    """Everything that an executor must do."""
