"""Skips or fails a test whose server is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn, TypeVar

import pytest

from candy_testbed.server import MissingServer

REQUIRE = "CANDY_TEST_REQUIRE"
"""``all``, or programs separated by commas: what must be installed. Without it a missing server is a skip."""

ServerT = TypeVar("ServerT", bound=AbstractContextManager[Any, None])


def skip_or_fail(missing: MissingServer) -> NoReturn:
    """Skip the test because a server is missing, or fail it if REQUIRE names it."""
    wanted = {name.strip() for name in os.environ.get(REQUIRE, "").split(",")}
    if wanted & {"all", missing.program}:
        pytest.fail(f"{missing} ({REQUIRE} asks for it)", pytrace=False)
    pytest.skip(str(missing))


@contextmanager
def required(server: ServerT) -> Iterator[ServerT]:
    """Hold a server open for a fixture; one that is not installed skips or fails the test (:func:`skip_or_fail`).

    For a test's own servers, too: ``with required(Prometheus(itself=False)) as prometheus: …``
    """
    try:
        server.__enter__()
    except MissingServer as missing:
        skip_or_fail(missing)
    try:
        yield server
    finally:
        server.__exit__(None, None, None)
