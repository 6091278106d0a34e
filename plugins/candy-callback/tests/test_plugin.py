"""The plugin as the agent sees it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from candy_callback import plugin
from candy_callback.settings import CallbackSettings
from candy_callback.url import CallbackUrl
from candy_core import CandyError, Delivered, Invalid, Retry, params_reader
from candy_core.registry import PluginState, discover

Start = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]


def test_it_is_found_by_its_entry_point_and_announces_the_format_candy() -> None:
    registry = discover()
    (record,) = [record for record in registry.plugins if record.name == "callback"]
    assert record.state is PluginState.ACTIVE
    assert record.provides == ("reporter:callback",)
    assert registry.reporters["callback"].spec.formats == ("candy",)


def test_importing_it_does_not_import_the_http_client() -> None:
    code = "import sys, candy_callback.plugin as p; list(p.candy_reporters()); print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_settings_are_read_from_environment_strings() -> None:
    settings = params_reader.read(
        {
            "url": "https://candy.example.com/results/{task_id}",
            "secret": "geheim",
            "allowed_hosts": "a.example.com, *.b.example.com",
            "max_age": "3600",
            "timeout": "5",
            "max_connections": "2",
            "ca_file": "/etc/ca.pem",
        },
        CallbackSettings,
    )
    assert settings.url == "https://candy.example.com/results/{task_id}"
    assert settings.allowed_hosts == ("a.example.com", "*.b.example.com")
    assert (settings.max_age, settings.timeout, settings.max_connections) == (3600.0, 5.0, 2)
    assert settings.ca_file == Path("/etc/ca.pem")
    assert "geheim" not in repr(settings)
    (spec,) = plugin.candy_reporters()
    assert spec.max_age(settings) == 3600.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "ftp://x"),
        ("url", "http://user:geheim@x/"),
        ("timeout", "0"),
        ("timeout", "60"),
        ("max_age", "-1"),
        ("max_connections", "0"),
        ("urls", "http://x"),
    ],
)
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        params_reader.read({name: value}, CallbackSettings)
    assert [problem.path for problem in caught.value.problems] == [f"$.{name}"]
    assert "geheim" not in str(caught.value)


def test_the_default_max_age_is_a_day() -> None:
    """Contract §4: 'all until `plugins.callback.max_age` (24 h)'."""
    (spec,) = plugin.candy_reporters()
    assert spec.max_age(CallbackSettings()) == 24 * 3600


async def test_only_a_certificate_signed_by_the_ca_file_is_trusted(
    receiver: Start, reporter: Start, delivery: Make, tmp_path: Path
) -> None:
    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = await receiver(tls=tls)
    answer = await (await reporter(server.url)).deliver(delivery())
    assert isinstance(answer, Retry)
    assert "ca_file" in answer.why
    assert server.received == []
    callback_reporter = await reporter(server.url, ca_file=tmp_path / "ca.pem")
    assert isinstance(await callback_reporter.deliver(delivery()), Delivered)


async def test_a_ca_file_that_cannot_be_read_is_named(reporter: Start, tmp_path: Path) -> None:
    with pytest.raises(CandyError, match=r"plugins\.callback\.ca_file"):
        await reporter("https://candy.example.com", ca_file=tmp_path / "none.pem")


def test_the_task_id_is_filled_into_the_url() -> None:
    assert str(CallbackUrl.parse("http://x/{task_id}").fill("t-1")) == "http://x/t-1"
