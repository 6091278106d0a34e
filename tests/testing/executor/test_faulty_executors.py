"""Every test of the suite can fail: for each there is an executor with just that fault."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from candy_core.testing.executor import ExecutorSuite
from candy_core.testing.executor.base import Harness, temporary_files_in
from candy_core.testing.executor.processes import subreaper
from tests.testing.executor import faulty_calls as faulty
from tests.testing.executor import faulty_runs, faulty_specs  # noqa: F401  # importing them fills the list
from tests.testing.executor.executors import TOKEN, subject
from tests.testing.executor.expected_failures import FAULTY, Faulty
from tests.testing.executor.faulty_runs import CALLS


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with temporary_files_in(tmp_path), subreaper(on=False):
        yield tmp_path


async def run(test: str, harness: Harness) -> None:
    """Run one test of the suite and clean up after it."""
    try:
        ended = getattr(ExecutorSuite(), test)(harness)
        if inspect.isawaitable(ended):
            await ended
    finally:
        faulty.cleanup.close()


@pytest.mark.parametrize("one", FAULTY, ids=lambda one: f"{one.test.removeprefix('test_')}-{one.kind}".rstrip("-"))
async def test_a_faulty_executor_fails_with_a_message(one: Faulty, folder: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=one.says) as caught:
        await run(one.test, Harness(one.make(), folder))
    message = str(caught.value)
    assert TOKEN not in message, "messages of the suite end up in logs"
    assert len(message) < 5000


def test_each_test_of_the_suite_has_a_faulty_executor() -> None:
    tests = {name for name, _ in inspect.getmembers(ExecutorSuite, inspect.isfunction) if name.startswith("test_")}
    assert tests == {one.test for one in FAULTY}


async def test_allowed_functions_may_block(folder: Path) -> None:
    may_block = [("executor/faulty_calls.py", "sleeps_and_fails")]
    await run(CALLS, Harness(subject(faulty.when("fail", faulty.sleeps_and_fails), may_block=may_block), folder))


@pytest.mark.parametrize("given", ["failures", "endless", "oversized", "numbered", "secrets"])
async def test_a_test_without_its_field_is_skipped_and_names_it(given: str, folder: Path) -> None:
    nothing: dict[str, Any] = {given: None if given == "numbered" else ()}
    harness = Harness(subject(batch=True, **nothing), folder)
    skipped = 0
    for name in sorted({one.test for one in FAULTY}):
        source = inspect.getsource(getattr(ExecutorSuite, name))
        if f'"{given}"' not in source and not (given == "numbered" and "_numbered(harness)" in source):
            continue
        with pytest.raises(pytest.skip.Exception, match=re.escape(f"Subject.{given} is not given: ")):
            await run(name, harness)
        skipped += 1
    assert skipped
