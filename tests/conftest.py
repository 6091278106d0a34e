"""Plugins as installed distributions: a package and its metadata in a folder on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import importlib_metadata
import pytest
import structlog
from structlog.testing import LogCapture

from candy_core.ports.context import Logger
from candy_core.testing.context import plugin_context

PRELUDE = """
import asyncio, os, sys, time
from contextlib import asynccontextmanager
from attrs import frozen
from candy_core import *
from candy_core.task_store import TaskStoreSpec

@frozen(kw_only=True)
class Params:
    greeting: str = "hi"

@frozen(kw_only=True)
class Settings:
    port: int = 80
    token: Secret = Secret("")

class Greeter:
    async def run(self, item, run):
        return Outcome(status=ItemStatus.NORMAL, reason=Reason.OK)

class Recorder:
    async def deliver(self, delivery):
        return Delivered()

@asynccontextmanager
async def open_greeter(context, settings):
    yield Greeter()

@asynccontextmanager
async def open_reporter(context, settings):
    yield Recorder()

def greeter(name, **more):
    return ExecutorSpec(**{"name": name, "params": Params, "settings": Settings, "open": open_greeter, **more})

def reporter_spec(name, **more):
    return ReporterSpec(**{"name": name, "settings": Settings, "open": open_reporter, **more})
"""


class PluginSite:
    """Installs plugins for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        installed = importlib_metadata.entry_points(group="candy")
        self.elsewhere = tuple(entry.dist.metadata["Name"] for entry in installed if entry.dist)
        """The distributions with plugins that are installed in this environment: a test may block them."""

    def install(
        self,
        plugin: str,
        source: str,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        requires: Sequence[str] = (),
        entry: str | None = None,
        prelude: bool = True,
    ) -> str:
        """Write a distribution whose entry point ``plugin`` names a package with ``source``. Returns the package."""
        distribution = distribution or f"site-{plugin.replace('_', '-')}"
        package = distribution.replace("-", "_").replace(".", "_")
        root = self.folder / package
        root.mkdir(exist_ok=True)
        (root / "__init__.py").write_text((PRELUDE if prelude else "") + dedent(source), encoding="utf-8")
        entry = entry or f"{plugin} = {package}"
        self.describe(distribution, version, f"[candy]\n{entry}\n", requires)
        return package

    def describe(self, distribution: str, version: str, entry_points: str, requires: Sequence[str] = ()) -> Path:
        """Write only a distribution's metadata."""
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        importlib.invalidate_caches()
        return info


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    """A folder on ``sys.path`` for distributions. Modules imported from it are removed afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield PluginSite(folder)
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
        importlib.invalidate_caches()


@pytest.fixture
def captured() -> LogCapture:
    """Captures the entries of ``logger``."""
    return LogCapture()


@pytest.fixture
def logger(captured: LogCapture) -> Logger:
    """A logger whose entries are captured."""
    wrapper = structlog.make_filtering_bound_logger(0)
    wrapped: Any = structlog.wrap_logger(None, processors=[captured], wrapper_class=wrapper)
    return wrapped.bind()  # type: ignore[no-any-return]  # structlog types its proxies loosely


@pytest.fixture
def context(logger: Logger) -> Any:
    """Creates the context of a plugin."""
    return partial(plugin_context, logger=logger)
