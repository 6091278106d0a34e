"""Every built-in template runs on this machine, or reports correctly why it cannot."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from candy_kit_command import CommandSettings, CommandTemplates

TEMPLATES = CommandTemplates.load(CommandSettings()).templates
ARGS: dict[str, dict[str, Any]] = {
    "unit_active": {"unit": "ssh.service"},
    "dns_lookup": {"host": "localhost"},
    "ping": {"host": "127.0.0.1", "count": 1},
    "load_average": {"minutes": 1, "per_cpu": True},
    "disk_usage": {"path": "/tmp"},
}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[int]:
    """A TLS server whose certificate expires in a known time; its certificate is in tmp_path as cert.pem."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def plain_web() -> AsyncIterator[int]:
    """A web server with a status code that no other server has."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("name", TEMPLATES)
async def test_it_runs_or_reports_why_not(agent: Any, name: str, web: int, plain_web: int, tmp_path: Path) -> None:
    template = TEMPLATES[name]
    args = dict(ARGS.get(name, {}))
    if "host" in template.params and "port" in template.params:
        args = {"host": "localhost", "port": plain_web if name == "http_probe" else web}
    if name == "certificate_file_expiry":
        args = {"path": str(tmp_path / "cert.pem")}
    outcome = await agent.run({"template": name, "args": args, "threshold": ">=-1e18"})
    if shutil.which(template.program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        assert outcome.stats["exit_code"] == 127
        assert template.program in outcome.message
    elif outcome.status == "failed":
        assert outcome.reason == "exit_code"
        assert outcome.message.count(":") >= 1, "a failure quotes the program's message"
        assert name in ("failed_units", "unit_active", "time_offset", "kernel_messages", "ping")
    else:
        assert outcome.reason == "threshold_exceeded"
        assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", outcome.value)
    assert outcome.details.startswith(f"Command: {template.program}")
    assert "terminated" not in outcome.stats


def memory() -> dict[str, str]:
    return dict(re.findall(r"(\w+): +([0-9]+)", Path("/proc/meminfo").read_text()))


async def test_their_numbers_are_right(agent: Any, web: int, plain_web: int, tmp_path: Path) -> None:
    async def value(template: str, **args: Any) -> float:
        outcome = await agent.run({"template": template, "args": args})
        assert outcome.status == "normal", outcome.message
        return float(outcome.value)

    disk = shutil.disk_usage("/")
    assert abs(await value("disk_usage") - 100 * disk.used / (disk.used + disk.free)) <= 2
    meminfo = memory()
    used = 100 * (1 - int(meminfo["MemAvailable"]) / int(meminfo["MemTotal"]))
    assert abs(await value("memory_usage") - used) < 20
    assert await value("process_count") >= 2
    assert await value("zombie_count") < await value("process_count")
    assert await value("listening_ports", port=web) == 1
    assert await value("listening_ports") >= 1
    if shutil.which("curl"):
        assert await value("http_probe", host="127.0.0.1", port=plain_web) == 418
    days = await value("certificate_file_expiry", path=str(tmp_path / "cert.pem"))
    assert await value("certificate_expiry", host="localhost", port=web) == pytest.approx(days, abs=0.1)


async def test_a_closed_port_and_an_unknown_name_fail(agent: Any) -> None:
    closed = await agent.run({"template": "certificate_expiry", "args": {"host": "localhost", "port": 1}})
    assert (closed.status, closed.reason) == ("failed", "exit_code")
    unknown = await agent.run({"template": "dns_lookup", "args": {"host": "no-such-name.invalid"}})
    assert (unknown.status, unknown.reason) == ("failed", "exit_code")
