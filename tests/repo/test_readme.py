"""What the READMEs say is tried: the tour, the plugin in one screen, the links; settings are in their pages."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from hatchling.builders.wheel import WheelBuilder

from candy_core.config.settings import Settings
from candy_testbed import AgentProcess

ROOT = Path(__file__).resolve().parents[2]
KEY = "change-me"
both = pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])


def blocks(readme: str, language: str) -> list[str]:
    """The README's code blocks in one language, without the fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / readme).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["docs/configuration.md", "docs/configuration.zh.md"])
def test_every_setting_of_the_core_is_in_the_table(page: str) -> None:
    text = (ROOT / page).read_text()
    names = [f"CANDY_{field.name.upper()}" for field in attrs.fields(Settings)]
    assert [name for name in names if f"`{name}`" not in text] == []


@both
def test_every_link_leads_somewhere(readme: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / readme).read_text())
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []


@both
async def test_the_tour_can_be_followed(readme: str, prometheus: str) -> None:
    if shutil.which("curl") is None:
        missing = pytest.fail if os.environ.get("CANDY_TEST_REQUIRE") == "all" else pytest.skip
        missing("curl is not installed: sudo apt-get install curl")
    (tour,) = [block for block in blocks(readme, "sh") if "candy() {" in block]
    agent = AgentProcess(env={"CANDY_API_KEY": KEY, "CANDY_PROMETHEUS_URL": prometheus, "AGENT_ID": "tour"})
    async with agent:
        script = "set -e\n" + tour.replace("127.0.0.1:8888", agent.address)
        # A pause where a reader has one, so that the task has ended.
        script = script.replace("candy -X DELETE", "sleep 1\ncandy -X DELETE")
        done = await asyncio.create_subprocess_exec(
            "bash", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output = (await asyncio.wait_for(done.communicate(), 60))[0].decode()
        async with (
            aiohttp.ClientSession(headers={"X-API-Key": KEY}) as client,
            client.get(f"{agent.url}/api/v1/results/tour-1") as answer,
        ):
            result = await answer.json()
    assert done.returncode == 0, output
    assert '"executor:prometheus"' in output
    assert '"task_id":"tour-1","status":"pending"' in output
    assert '"code":"ended"' in output
    assert result["results"][0]["status"] == "normal", result


@both
async def test_the_plugin_in_one_screen_runs(readme: str, tmp_path: Path) -> None:
    (project,) = blocks(readme, "toml")
    (module,) = blocks(readme, "python")
    package = tmp_path / "project" / "src" / "candy_disk"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(module)
    (tmp_path / "project" / "pyproject.toml").write_text(project)
    builder = WheelBuilder(str(tmp_path / "project"))
    wheel = next(builder.build(directory=str(tmp_path / "dist"), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    env = {"CANDY_API_KEY": KEY, "AGENT_ID": "screen", "PYTHONPATH": str(tmp_path / "site")}
    task = {"task_id": "disk-1", "items": [{"id": 1, "type": "disk", "params": {"path": "/", "threshold": "100"}}]}
    async with (
        AgentProcess(env=env) as agent,
        aiohttp.ClientSession(agent.url, headers={"X-API-Key": KEY}) as client,
    ):
        async with client.post("/api/v1/task", json=task) as answer:
            assert answer.status == 202
        result = await ended(client, "disk-1")
    assert result["results"][0]["status"] == "normal", result
    assert result["results"][0]["message"] == "所有路径的值都在阈值 100.00 范围内"


async def ended(client: aiohttp.ClientSession, task_id: str) -> dict[str, Any]:
    """The result of a task, once it has ended."""
    async with asyncio.timeout(20):
        while True:
            async with client.get(f"/api/v1/results/{task_id}") as answer:
                result: dict[str, Any] = await answer.json()
            if result["end_time"]:
                return result
            await asyncio.sleep(0.05)
