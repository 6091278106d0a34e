"""Every test of the suite can fail: for each there is a backend with just that fault."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from attrs import evolve

from candy_core.errors import CandyError
from candy_core.testing.rule_backend import RuleBackendSuite, Subject, opening
from tests.testing.rule_backend.faulty_backends import FAULTY, Faulty
from tests.testing.rule_backend.test_folder import folder_subject


async def run(test: str, subject: Subject) -> None:
    """Run one test of the suite."""
    method = getattr(RuleBackendSuite(), test)
    if "opened" not in inspect.signature(method).parameters:
        await method(subject=subject)
        return
    async with opening(subject) as opened:
        await method(opened=opened)


@pytest.mark.parametrize("one", FAULTY, ids=lambda one: f"{one.test.removeprefix('test_')}: {one.says}")
async def test_a_faulty_backend_fails_with_a_message(one: Faulty, tmp_path: Path) -> None:
    with pytest.raises((pytest.fail.Exception, CandyError), match=one.says) as caught:
        await run(one.test, one.make(tmp_path))
    assert "hunter2" not in str(caught.value), "messages of the suite end up in logs"


def test_each_test_of_the_suite_has_a_faulty_backend() -> None:
    tests = {name for name, _ in inspect.getmembers(RuleBackendSuite, inspect.isfunction) if name.startswith("test_")}
    assert tests == {one.test for one in FAULTY}


@pytest.mark.parametrize("given", ["own", "bad", "unreachable", "secrets"])
async def test_a_test_without_its_field_is_skipped_and_names_it(given: str, tmp_path: Path) -> None:
    nothing = evolve(folder_subject(tmp_path), **{given: () if given in ("bad", "secrets") else None})  # type: ignore[arg-type]  # by name
    skipped = 0
    for test in sorted({one.test for one in FAULTY}):
        if f'"{given}", "' in inspect.getsource(getattr(RuleBackendSuite, test)):
            with pytest.raises(pytest.skip.Exception, match=rf"Subject\.{given} is not given: "):
                await run(test, nothing)
            skipped += 1
    assert skipped == 1
