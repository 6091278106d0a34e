"""The example of each hook runs: what it announces is accepted, opens and works."""

from __future__ import annotations

import inspect
import textwrap
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import candy_core
from candy_core import ClusterInfo, Delivered, Delivery, Event, Item, Locale, Run, hookspecs
from candy_core.registry.checks import HOOKS, check_port, check_spec
from candy_core.testing.context import plugin_context


def code_in(docstring: str | None) -> str:
    assert docstring is not None
    return textwrap.dedent(inspect.cleandoc(docstring).rpartition("::\n\n")[2])


def announced_by(hook: str) -> Any:
    """The Spec of the hook's example."""
    namespace: dict[str, Any] = {name: getattr(candy_core, name) for name in candy_core.__all__}
    namespace |= {"frozen": attrs.frozen, "asynccontextmanager": asynccontextmanager}
    exec(code_in(hookspecs.__doc__), namespace)
    exec(code_in(getattr(hookspecs, hook).__doc__), namespace)
    [spec] = namespace[hook]()
    return spec


@pytest.mark.parametrize("hook", HOOKS)
def test_the_core_accepts_the_example(hook: str) -> None:
    assert check_spec(hook, announced_by(hook))


@pytest.mark.parametrize("hook", ["candy_executors", "candy_reporters", "candy_cluster_probes"])
async def test_the_example_works(hook: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = announced_by(hook)
    context = plugin_context("hello")
    async with spec.open(context, spec.settings()) as port:
        check_port(HOOKS[hook][0], spec, port)
        if hook == "candy_executors":
            item = Item(index=0, id="a", name="", params=spec.params(name="world"))
            run = Run(task_id="t", time=time.time(), locale=Locale.EN, deadline=0.0, logger=context.logger)
            assert (await port.run(item, run)).value == "Hello, world"
        elif hook == "candy_reporters":
            delivery = Delivery(
                id="d", task_id="t", reporter="printer", event=Event.ENDED, callback=None, document=b"{}",
                created_at=datetime.now(UTC),
            )  # fmt: skip
            assert await port.deliver(delivery) == Delivered()
            assert capsys.readouterr().out == "t {}\n"
        else:
            assert await port.read() == ClusterInfo(name="laboratory", nodes=3)
