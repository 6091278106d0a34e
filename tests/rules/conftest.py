"""A rule service over real plugins: the folder backend, found through an entry point and opened by a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest
import structlog
import yaml
from attrs import define, evolve, frozen

from candy_core.config import load_configuration
from candy_core.hosting import PluginHost
from candy_core.metrics import Metrics
from candy_core.registry import discover
from candy_core.rules import RetryPolicy, RuleService, RuleTiming
from candy_core.testing.context import plugin_context
from tests.rules import unsteady
from tests.testing.rule_backend import folder
from tests.testing.rule_backend.installed import installed

GROUPS: tuple[dict[str, Any], ...] = (
    {
        "name": "cpu",
        "rules": [{"alert": "HighCPU", "expr": "cpu > 80", "for": "5m", "labels": {"severity": "warning"}}],
    },
)


@define
class Pauses:
    """A clock that only pauses advance: how often a backend is retried does not depend on how fast the machine is."""

    now: float = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0.01)


PAUSES = Pauses()
QUICK = RuleTiming(retry=RetryPolicy(clock=PAUSES.clock, sleep=PAUSES.sleep))


@pytest.fixture(scope="session", autouse=True)
def folder_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution ``candy-folder`` with the plugin ``folder``, for as long as these tests run."""
    site = tmp_path_factory.mktemp("site")
    with installed(site, folder="tests.testing.rule_backend.folder", unsteady_folder="tests.rules.unsteady"):
        yield


@frozen(kw_only=True)
class RuleSetup:
    """A rule service and the folder behind it."""

    rules: RuleService
    path: Path
    metrics: Metrics

    @property
    def connection(self) -> unsteady.Connection:
        """The connection to the backend ``unsteady``."""
        return unsteady.connections[self.path.with_name("rules-unsteady")]

    @property
    def unsteady(self) -> RuleSetup:
        """The folder behind that."""
        return evolve(self, path=self.path.with_name("rules-unsteady"))

    def file(self, name: str, namespace: str = "monitoring") -> Path:
        """The file of a rule."""
        return self.path / namespace / f"{folder.object_name(name)}.yaml"

    def document(self, name: str, namespace: str = "monitoring") -> Any:
        """What the file of a rule holds."""
        return yaml.safe_load(self.file(name, namespace).read_text())

    def rewrite(self, name: str, /, namespace: str = "monitoring", **changes: object) -> None:
        """Change a file without the service, or create one that is not managed."""
        file = self.file(name, namespace)
        file.parent.mkdir(exist_ok=True)
        before = self.document(name, namespace) if file.exists() else {"groups": [dict(group) for group in GROUPS]}
        file.write_text(yaml.safe_dump(before | changes))

    def names(self, namespace: str = "monitoring") -> set[str]:
        """The objects of a namespace."""
        return {file.stem for file in (self.path / namespace).glob("*.yaml")}

    def counted(self, **labels: str) -> float:
        """A value of ``candy_rules_writes``."""
        return self.metrics.registry.get_sample_value("candy_rules_writes_total", labels) or 0.0


OpenSetup = Callable[..., AbstractAsyncContextManager[RuleSetup]]


@pytest.fixture
def open_setup(tmp_path: Path) -> OpenSetup:
    """Opens a rule service with the plugins of these tests and no others."""

    @asynccontextmanager
    async def opened(*, timing: RuleTiming = QUICK) -> AsyncIterator[RuleSetup]:
        path = tmp_path / "rules"
        path.mkdir(exist_ok=True)
        path.with_name("rules-second").mkdir(exist_ok=True)
        path.with_name("rules-unsteady").mkdir(exist_ok=True)
        environ: Mapping[str, str] = {f"CANDY_{name}_PATH": str(path) for name in ("FOLDER", "UNSTEADY_FOLDER")}
        configuration = load_configuration(None, environ, hostname="host")
        points = importlib_metadata.entry_points(group="candy")
        others = [point.dist.metadata["Name"] for point in points if point.dist and "folder" not in point.name]
        metrics, log = Metrics("0"), structlog.get_logger("test")
        host = PluginHost(
            discover(blocked=others),
            context=partial(plugin_context, logger=log),
            settings=configuration.plugin,
            required=(),
            metrics=metrics,
            logger=log,
        )
        holding = asyncio.create_task(host.run())
        try:
            await host.opened()
            yield RuleSetup(
                rules=RuleService(backends=host.rule_backends, metrics=metrics, logger=log, timing=timing),
                path=path,
                metrics=metrics,
            )
        finally:
            holding.cancel()
            await asyncio.wait({holding})

    return opened


@pytest.fixture
async def setup(open_setup: OpenSetup) -> AsyncIterator[RuleSetup]:
    """A rule service over the folder backend alone."""
    async with open_setup() as opened:
        yield opened


def rule(name: str = "HighCPUUsage", **more: object) -> dict[str, Any]:
    """A rule as a caller writes it."""
    return {"name": name, "type": "folder", "content": "cpu > 80", **more}
