"""Contract §7: "environment over file over defaults.\""""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from candy_core.config import Configuration, load_configuration
from candy_core.config.settings import Address, LogLevel, Settings
from candy_core.errors import SettingsError


def load(file: Path | None = None, /, **environ: str) -> Configuration:
    return load_configuration(file, environ, hostname="node-1")


def rejection(file: Path | None = None, /, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, **environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tmp_path / "agent.yaml"


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load().settings
    assert settings == attrs.evolve(Settings(), agent_id="node-1")
    assert (settings.listen.host, settings.listen.port) == ("0.0.0.0", 8888)
    assert (settings.server_url, settings.cluster_name, settings.task_store) == (None, "default-cluster", "memory")
    assert (settings.heartbeat_interval, settings.log_level, settings.shutdown_grace) == (30, "INFO", 25)
    assert (settings.max_body, settings.max_answer, settings.max_output) == (16 << 20, 32 << 20, 64 << 10)


def test_the_environment_overrides_the_file_and_the_file_the_defaults(yaml: Path) -> None:
    yaml.write_text("cluster_name: of-file\nheartbeat_interval: 5\nlisten: 127.0.0.1:1\n")
    settings = load(yaml, CANDY_CLUSTER_NAME="of-environment", CANDY_LISTEN="[::1]:0").settings
    assert settings.cluster_name == "of-environment"
    assert settings.heartbeat_interval == 5
    assert settings.listen == Address("::1", 0)
    assert settings.log_level is LogLevel.INFO


def test_toml_is_read_like_yaml(tmp_path: Path) -> None:
    toml, yml = tmp_path / "a.toml", tmp_path / "a.yml"
    toml.write_text(
        'log_level = "debug"\nplugins_blocked = ["a", "b"]\nmax_body = "1MiB"\n[plugins.prometheus]\nurl = "http://x"\n'
    )
    yml.write_text(
        "log_level: debug\nplugins_blocked: [a, b]\nmax_body: 1MiB\nplugins: {prometheus: {url: http://x}}\n"
    )
    assert load(toml).settings == load(yml).settings
    assert load(toml).sections == load(yml).sections == {"prometheus": {"url": "http://x"}}


def test_every_setting_can_be_given_in_the_environment() -> None:
    anything = {"plugins_required", "plugins_blocked", "spool_dir", "redis_url", "store_key", "cluster_name"}
    for name in sorted(attrs.fields_dict(Settings).keys() - anything):
        assert f"CANDY_{name.upper()}: " in rejection(**{f"CANDY_{name.upper()}": "\x7f"})
    settings = load(**{f"CANDY_{name.upper()}": "x" for name in anything - {"plugins_blocked"}}).settings
    assert (settings.plugins_required, settings.spool_dir, settings.cluster_name) == (("x",), Path("x"), "x")


def test_three_variables_work_without_the_prefix() -> None:
    settings = load(AGENT_ID="agent-001", HEARTBEAT_INTERVAL="15", LOG_LEVEL="warn").settings
    assert (settings.agent_id, settings.heartbeat_interval, settings.log_level) == ("agent-001", 15, LogLevel.WARNING)


def test_the_variable_with_the_prefix_wins_and_the_other_gives_a_warning() -> None:
    configuration = load(LOG_LEVEL="INFO", CANDY_LOG_LEVEL="DEBUG", AGENT_ID="a", CANDY_AGENT_ID="a")
    assert configuration.settings.log_level is LogLevel.DEBUG
    assert configuration.warnings == ("LOG_LEVEL is ignored, since CANDY_LOG_LEVEL is set to something else",)


def test_an_empty_variable_counts_as_not_set(yaml: Path) -> None:
    yaml.write_text("cluster_name: of-file\n")
    assert load(yaml, CANDY_CLUSTER_NAME="", CANDY_API_KEY="", HEARTBEAT_INTERVAL="").settings.cluster_name == "of-file"


def test_lists_are_split_at_commas() -> None:
    """Contract §7: "Lists are split at commas.\""""
    assert load(CANDY_PLUGINS_BLOCKED=" bash, ssh ,").settings.plugins_blocked == ("bash", "ssh")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:8888", "0.0.0.0", 8888),
        ("[::1]:8888", "::1", 8888),
        ("[::]:0", "::", 0),
        ("localhost:80", "localhost", 80),
        (":9", "0.0.0.0", 9),
        ("my-host.example.com:65535", "my-host.example.com", 65535),
    ],
)
def test_an_address_to_listen_on_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert load(CANDY_LISTEN=text).settings.listen == Address(host, port)
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    "text", ["8888", "host", "::1:8888", "[::1]", "h:99999", "h:-1", "[1.2.3.4]:1", "a b:1", "http://h:1"]
)
def test_an_invalid_address_is_rejected(text: str) -> None:
    assert rejection(CANDY_LISTEN=text) == "CANDY_LISTEN: expected host:port, such as 0.0.0.0:8888 or [::1]:8888"


def test_an_unknown_key_of_the_file_is_named_with_the_nearest_known_one(yaml: Path) -> None:
    """Contract §7: "An unknown key in the *file* or a wrong value of the core's stops the start with one line that
    names it and the nearest right one.\""""
    yaml.write_text("hearbeat_interval: 5\n")
    assert rejection(yaml) == f"{yaml}: hearbeat_interval: unknown key; did you mean heartbeat_interval?"


def test_a_plugin_section_in_the_wrong_place_has_a_hint(yaml: Path) -> None:
    yaml.write_text("prometheus: {url: http://x}\n")
    assert rejection(yaml).endswith(
        "prometheus: unknown key; a plugin's section belongs below plugins, as plugins.prometheus"
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("HEARTBEAT_INTERVAL", "soon", "expected a number"),
        ("HEARTBEAT_INTERVAL", "0", "expected at least 0.1 and at most 86400"),
        ("CANDY_HEARTBEAT_INTERVAL", "nan", "expected a number"),
        ("LOG_LEVEL", "LOUD", "expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("AGENT_ID", "a/b", "expected a text that matches"),
        ("AGENT_ID", "..", "expected a text that matches"),
        ("CANDY_SERVER_URL", "candy:8080", "expected an address such as https://candy.example.com:8080"),
        ("CANDY_SERVER_URL", "ftp://candy", "expected an address such as"),
        ("CANDY_SERVER_URL", "http://candy:x", "expected an address such as"),
        ("CANDY_SERVER_URL", "http://me:hunter2@candy", "expected an address without a user and password in it"),
        ("CANDY_SERVER_URL", "http://candy/?a=b", "expected an address without a query and fragment"),
        ("CANDY_MAX_BODY", "lots", "expected a number of bytes, such as 16777216 or 16MiB"),
        ("CANDY_MAX_BODY", "1", "expected at least 1024 and at most 4294967296"),
        ("CANDY_MAX_CONCURRENT", "1.5", "expected an integer"),
        ("CANDY_MAX_PENDING_TASKS", "9999999", "expected at most 1000000"),
        ("CANDY_HEARTBEAT_KEY_PLAINTEXT", "perhaps", "expected true or false"),
        ("CANDY_TLS_CERT_FILE", "/none", "requires tls_key_file"),
        ("CANDY_API_KEYS_FILE", "/none", "expected a file, but there is no file of this name"),
        ("CANDY_API_KEY", "two\nlines", "expected one line without control characters"),
        ("CANDY_CLUSTER_NAME", "\udcff", "is not UTF-8"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_is_allowed(variable: str, value: str, expected: str) -> None:
    message = rejection(**{variable: value})
    assert message.startswith(f"{variable}: ")
    assert expected in message
    assert "hunter2" not in message


def test_a_wrong_value_of_the_file_names_the_file_and_the_key(yaml: Path) -> None:
    yaml.write_text("listen: {host: x}\nplugins_blocked: 5\napi_key: 123456\n")
    message = rejection(yaml)
    assert f"{yaml}: listen: expected a string or a number" in message
    assert f"{yaml}: plugins_blocked: expected a list" in message
    assert f"{yaml}: api_key: expected a string: put it into quotes" in message
    assert "123456" not in message


def test_a_blocked_plugin_cannot_be_required() -> None:
    assert "a is blocked by plugins_blocked" in rejection(CANDY_PLUGINS_REQUIRED="a,b", CANDY_PLUGINS_BLOCKED="a")


def test_a_server_address_loses_its_trailing_slash() -> None:
    assert (
        load(CANDY_SERVER_URL="https://candy.example.com/base/").settings.server_url == "https://candy.example.com/base"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", "line 2: duplicate key 'a'"),
        ("plugins: {x: {k: 1, k: 2}}\n", "line 1: duplicate key 'k'"),
        ("a: [\n", "not YAML"),
        ("api_key: *hunter2\n", "line 1: an alias that is not defined above it"),
        ("api_key: !hunter2 x\n", "line 1: an unknown tag"),
        ("api_key: 'hunter2\n", "not YAML"),
        ("\tapi_key: hunter2\n", "not YAML"),
        ("!!python/object/apply:os.system ['true']\n", "line 1: an unknown tag"),
        ("- a\n", "expected keys with values at the top level"),
        ("hunter2\n", "expected keys with values at the top level"),
        ("1: a\n", "expected every key to be a string"),
        ("plugins: [a]\n", "plugins: expected a section for each plugin"),
        ("plugins: {a: b}\n", "plugins.a: expected a section"),
        ("plugins: &a {x: *a}\n", "an alias that is not defined above it, or contains itself"),
        ("a: " + "[" * 101 + "]" * 101, "line 1: nested deeper than 100"),
        ("a: b\x01c\n", "not YAML"),
        ("a: \xff", "not UTF-8 at byte 3"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_shows_no_content(yaml: Path, text: str, expected: str) -> None:
    yaml.write_bytes(text.encode("latin-1"))
    message = rejection(yaml)
    assert message.startswith(f"{yaml}: ")
    assert expected in message
    assert "hunter2" not in message


def test_booleans_and_numbers_of_yaml_1_1_stay_strings(yaml: Path) -> None:
    yaml.write_text(
        "cluster_name: no\nagent_id: 2024-01-02\napi_key: 0x12\nserver_api_key: 12:30:45\nplugins_blocked: [on]\n"
    )
    settings = load(yaml).settings
    assert (settings.cluster_name, settings.agent_id, settings.plugins_blocked) == ("no", "2024-01-02", ("on",))
    assert settings.api_key is not None
    assert settings.api_key.reveal() == "0x12"
    assert settings.server_api_key is not None
    assert settings.server_api_key.reveal() == "12:30:45"


def test_anchors_merges_and_empty_files_work(yaml: Path) -> None:
    yaml.write_text("plugins:\n  a: &a {url: x, n: 1}\n  b: {<<: *a, n: 2}\n")
    assert load(yaml).sections["b"] == {"url": "x", "n": 2}
    yaml.write_text("# nothing\n")
    assert load(yaml).settings.agent_id == "node-1"
    yaml.write_text("cluster_name: null\n")
    assert "cluster_name: expected a string" in rejection(yaml)
    yaml.write_text("plugins:\n  a:\nserver_url: null\n")
    assert load(yaml).sections == {"a": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\na = 2\n", "not TOML"),
        ('api_key = "hunter2\n', "not TOML"),
        ("api_key = hunter2\n", "not TOML"),
        ("keep_seconds = inf\n", "keep_seconds: expected a finite number"),
    ],
)
def test_invalid_toml_says_where_and_shows_no_content(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    message = rejection(file)
    assert expected in message
    assert "hunter2" not in message


def test_a_missing_file_or_another_kind_of_file_is_one_line(tmp_path: Path) -> None:
    assert rejection(tmp_path / "none.yaml") == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"
    (tmp_path / "d.yaml").mkdir()
    assert "cannot be read: Is a directory" in rejection(tmp_path / "d.yaml")
    assert "expected a file that ends in .yaml, .yml, .toml" in rejection(tmp_path / "a.ini")


def test_a_host_name_that_is_not_a_valid_agent_id_asks_for_one() -> None:
    with pytest.raises(SettingsError, match=r"AGENT_ID \(by default the host's name\): expected a text that matches"):
        load_configuration(None, {}, hostname="höst")


def test_no_representation_shows_a_secret_or_the_environment(yaml: Path) -> None:
    yaml.write_text("server_api_key: hunter2\nplugins: {callback: {secret: hunter2}}\n")
    configuration = load(yaml, CANDY_API_KEY="hunter2", CANDY_CALLBACK_SECRET="hunter2")
    assert "hunter2" not in repr(configuration)
    assert "hunter2" not in str(configuration.settings)
