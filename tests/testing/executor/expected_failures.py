"""The faulty executors, each with the test that must find its fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from candy_core.testing.executor import Case, Subject
from tests.testing.executor.executors import subject

HELLO = [Case(params={"text": "hello"})]


@frozen(kw_only=True)
class Faulty:
    """A test of the suite, an executor that must fail it, and a pattern of the message."""

    test: str
    says: str
    make: Callable[[], Subject]
    kind: str = ""


FAULTY: list[Faulty] = []


def expect_failure(test: str, says: str, kind: str = "", **changes: Any) -> None:
    """Add the well-behaved executor with changes that must make the test fail with this message."""
    FAULTY.append(Faulty(test=test, says=says, make=lambda: subject(**changes), kind=kind))


def expect_failure_of(test: str, says: str, make: Callable[[], Subject], kind: str = "") -> None:
    """The same for an executor that must be created inside the test."""
    FAULTY.append(Faulty(test=test, says=says, make=make, kind=kind))
