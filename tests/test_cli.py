"""The command line, each command in a process of its own.

Contract section 7: "Only `serve` logs, as JSON on stdout …; every other command keeps stdout for its answer …".
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from candy_core import __version__

HELLO = """
print("a plugin that prints")
import logging, structlog, sys, warnings
from contextlib import asynccontextmanager
from attrs import frozen
from candy_core import ExecutorSpec, Secret, hookimpl

logging.getLogger("hello").warning("a plugin that logs")
structlog.get_logger("hello").warning("a plugin that logs")
warnings.warn("a plugin that warns")

@frozen(kw_only=True)
class Params:
    pass

@frozen(kw_only=True)
class Settings:
    url: str = "http://default"
    timeout: float = 5.0
    password: Secret | None = None

@asynccontextmanager
async def open_(context, settings):
    yield None

@hookimpl
def candy_executors():
    return [ExecutorSpec(name="hello", params=Params, settings=Settings, open=open_)]
"""


class Agent:
    """The command, with plugins in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("CANDY_", "AGENT_", "LOG_", "HEARTBEAT_"))
        } | {"PYTHONPATH": str(folder)}

    def install(self, name: str, code: str) -> None:
        (self.folder / f"candy_{name}.py").write_text(code)
        info = self.folder / f"candy_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: candy-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[candy]\n{name} = candy_{name}\n")

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "candy_core", *arguments],
            env={**self.environ, **environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_version_prints_the_version_and_nothing_else(agent: Agent) -> None:
    answer = agent("--version")
    assert (answer.stdout, answer.stderr, answer.returncode) == (f"{__version__}\n", "", 0)


def test_version_does_not_import_the_web_server() -> None:
    code = (
        "import sys; from candy_core.cli import main; main(['--version'], standalone_mode=False)\n"
        "print('aiohttp' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert answer.stdout.split() == [__version__, "False"]


def test_help_names_the_commands(agent: Agent) -> None:
    answer = agent("--help")
    assert answer.returncode == 0
    for command in ("serve", "plugins", "check-config"):
        assert command in answer.stdout


def test_plugins_prints_only_json_even_if_plugins_print(agent: Agent) -> None:
    agent.install("hello", HELLO)
    agent.install("broken", "raise RuntimeError('no luck')")
    agent.install("exits", "import sys; sys.exit(3)")
    answer = agent("plugins", "--json", CANDY_PLUGINS_BLOCKED="unwanted")
    assert answer.returncode == 0, answer.stderr
    plugins = {plugin["name"]: plugin for plugin in json.loads(answer.stdout)["plugins"]}
    assert plugins["hello"] == {
        "name": "hello",
        "distribution": "candy-hello",
        "version": "1.2",
        "state": "active",
        "provides": ["executor:hello"],
        "error": None,
    }
    assert plugins["broken"]["state"] == "failed"
    assert "no luck" in plugins["broken"]["error"]
    assert plugins["exits"]["state"] == "failed"


def test_plugins_prints_a_table(agent: Agent) -> None:
    agent.install("hello", HELLO)
    agent.install("broken", "raise RuntimeError('no luck')")
    answer = agent("plugins", CANDY_PLUGINS_BLOCKED="hello")
    assert answer.returncode == 0
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "DISTRIBUTION", "PROVIDES"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:] if not line.startswith(" ")}
    assert rows["hello"] == ["blocked", "candy-hello", "1.2", "-"]
    assert rows["broken"] == ["failed", "candy-broken", "1.2", "-"]
    assert any("no luck" in line for line in lines)
    assert "a plugin that prints" not in answer.stdout + answer.stderr


def test_a_plugin_with_wrong_settings_is_listed_as_failed(agent: Agent) -> None:
    agent.install("hello", HELLO)
    plugins = json.loads(agent("plugins", "--json", CANDY_HELLO_TIMEOUT="soon").stdout)["plugins"]
    (hello,) = [plugin for plugin in plugins if plugin["name"] == "hello"]
    assert (hello["state"], hello["error"]) == ("failed", "CANDY_HELLO_TIMEOUT: expected a number")


def test_check_config_prints_the_effective_configuration_with_secrets_masked(agent: Agent) -> None:
    agent.install("hello", HELLO)
    file = agent.folder / "agent.toml"
    file.write_text(
        'api_key = "hunter2"\nspool_dir = "spool"\n[plugins.hello]\nurl = "http://x"\npassword = "hunter2"\n'
    )
    answer = agent("check-config", "--config", str(file), LOG_LEVEL="debug", CANDY_LOG_LEVLE="x")
    assert answer.returncode == 0, answer.stderr
    effective = json.loads(answer.stdout)
    assert (effective["api_key"], effective["log_level"], effective["spool_dir"]) == ("******", "DEBUG", "spool")
    assert effective["plugins"]["hello"] == {"url": "http://x", "timeout": 5.0, "password": "******"}
    assert "hunter2" not in answer.stdout + answer.stderr
    assert "CANDY_LOG_LEVLE: unknown variable; did you mean CANDY_LOG_LEVEL?" in answer.stderr


def test_check_config_distinguishes_plugin_errors_from_core_errors(agent: Agent) -> None:
    agent.install("hello", HELLO)
    wrong = agent("check-config", CANDY_HELLO_TIMEOUT="soon")
    assert wrong.returncode == 1
    assert "CANDY_HELLO_TIMEOUT: expected a number" in wrong.stderr
    assert agent("check-config", CANDY_HELLO_TIMEOUT="soon", CANDY_PLUGINS_REQUIRED="hello").returncode == 2
    missing = agent("check-config", CANDY_PLUGINS_REQUIRED="nowhere")
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr


def test_check_config_reads_the_keys_file_as_serve_does(agent: Agent, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("[{name: scraper, scopes: [metrics], key: a-secret}]")
    answer = agent("check-config", CANDY_API_KEYS_FILE=str(file))
    assert answer.returncode == 2
    assert "did you mean metrics:read?" in answer.stderr
    assert "a-secret" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["serve", "plugins", "check-config"])
def test_a_wrong_configuration_is_one_line_on_stderr_and_exit_2(agent: Agent, command: str) -> None:
    (agent.folder / "a.yaml").write_text("lisetn: x\n")
    answer = agent(command, "--config", "a.yaml")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == "candy-agent: a.yaml: lisetn: unknown key; did you mean listen?\n"
    answer = agent(command, CANDY_LISTEN="x")
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert "CANDY_LISTEN" in answer.stderr


def test_an_address_in_use_is_one_line_on_stderr(agent: Agent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = agent("serve", CANDY_LISTEN=address)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"candy-agent: CANDY_LISTEN: cannot listen on {address}: Address already in use")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "advice"),
    [({}, "CANDY_SERVER_URL to send it"), ({"CANDY_SERVER_URL": "http://0.0.0.0:1"}, "CANDY_HEARTBEAT_KEY_PLAINTEXT")],
)
def test_a_generated_key_that_no_client_can_know_is_a_warning(agent: Agent, given: dict[str, str], advice: str) -> None:
    """Contract §1: "only then, and only over https or loopback unless …" is the generated key sent.

    Without Candy-Server it is not sent at all. 0.0.0.0 is not a loopback address.
    """
    environ = {**agent.environ, "CANDY_LISTEN": "127.0.0.1:0", **given}
    command = [sys.executable, "-m", "candy_core", "serve"]
    with subprocess.Popen(command, env=environ, cwd=agent.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline())]
        while lines[-1]["event"] != "ready":
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGTERM)
    # Installed plugins may log warnings too, for example of a missing cluster.
    (warning,) = [line for line in lines if (line["level"], line["event"]) == ("warning", "configuration")]
    assert "CANDY_API_KEY" in warning["detail"]
    assert advice in warning["detail"]


def test_serve_logs_json_on_stdout_and_ends_with_0_after_sigterm(agent: Agent) -> None:
    """Contract §6: "SIGTERM: (…) exit 0 within 30 s.\""""
    agent.install("hello", HELLO)
    process = subprocess.Popen(
        [sys.executable, "-m", "candy_core", "serve"],
        env={**agent.environ, "CANDY_LISTEN": "127.0.0.1:0", "CANDY_API_KEY": "hunter2", "CANDY_SHUTDOWN_GRACE": "1"},
        cwd=agent.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        while first and json.loads(first)["event"] != "ready":
            first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors
    for line in rest.splitlines():
        assert {"time", "level", "event", "logger"} <= json.loads(line).keys()
    assert "hunter2" not in first + rest + errors
