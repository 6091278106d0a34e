"""Contract §7: `plugins.<name>` of the file and `CANDY_<PLUGIN>_<SETTING>`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import Factory, frozen

from candy_core import Meta, Secret
from candy_core.config import Configuration, load_configuration, setting_names
from candy_core.errors import SettingsError
from candy_core.hosting.plugin_settings import PluginSettings
from candy_core.registry import PluginRecord, PluginState, Registry


@frozen(kw_only=True)
class Source:
    url: str
    password: Secret | None = None


@frozen(kw_only=True)
class Backend:
    url: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    timeout: Annotated[float, Meta(gt=0)] = 10.0
    allow_command: bool = False
    allowed_hosts: tuple[str, ...] = ()
    headers: Mapping[str, str] = Factory(dict)
    datasources: Mapping[str, Source] = Factory(dict)
    mirrors: tuple[Source, ...] = ()
    secret: Secret | None = None


@frozen(kw_only=True)
class Other:
    depth: int = 0
    b_url: str | None = None


def load(file: Path | None = None, /, **environ: str) -> Configuration:
    return load_configuration(file, environ, hostname="node-1")


def rejection(configuration: Configuration, name: str = "prometheus", kind: type = Backend, **others: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        configuration.plugin(name, kind, **others)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    return tmp_path / "agent.yaml"


def test_a_plugin_without_settings_has_its_defaults() -> None:
    assert load().plugin("prometheus", Backend) == Backend()


def test_the_environment_overrides_the_section(yaml: Path) -> None:
    yaml.write_text("plugins: {prometheus: {url: http://file, timeout: 5, allowed_hosts: [a, b]}}\n")
    settings = load(yaml, CANDY_PROMETHEUS_URL="http://environment").plugin("prometheus", Backend)
    assert settings == Backend(url="http://environment", timeout=5, allowed_hosts=("a", "b"))


def test_variables_are_read_as_the_type_of_the_setting() -> None:
    settings = load(
        CANDY_PROMETHEUS_PORT="9090",
        CANDY_PROMETHEUS_ALLOW_COMMAND="true",
        CANDY_PROMETHEUS_ALLOWED_HOSTS="a, 10.0.0.0/8",
        CANDY_PROMETHEUS_HEADERS='{"X-Scope-OrgID":"1"}',
        CANDY_PROMETHEUS_DATASOURCES='{"main":{"url":"http://a","password":"p"}}',
    ).plugin("prometheus", Backend)
    assert (settings.port, settings.allow_command, settings.allowed_hosts) == (9090, True, ("a", "10.0.0.0/8"))
    assert settings.headers == {"X-Scope-OrgID": "1"}
    assert settings.datasources["main"].url == "http://a"
    assert settings.datasources["main"].password is not None
    assert settings.datasources["main"].password.reveal() == "p"


def test_every_problem_of_a_plugin_is_named_with_its_source(yaml: Path) -> None:
    yaml.write_text("plugins: {prometheus: {urll: x, port: 0, datasources: {a: {urk: 1}}}}\n")
    message = rejection(load(yaml, CANDY_PROMETHEUS_TIMEOUT="hunter2"))
    assert f"{yaml}: plugins.prometheus.urll: unknown key; did you mean url?" in message
    assert f"{yaml}: plugins.prometheus.port: expected at least 1 and at most 65535" in message
    assert f"{yaml}: plugins.prometheus.datasources.a.url: is required" in message
    assert f"{yaml}: plugins.prometheus.datasources.a.urk: unknown key; did you mean url?" in message
    assert "CANDY_PROMETHEUS_TIMEOUT: expected a number" in message
    assert "hunter2" not in message


def test_two_records_of_one_plugin_share_a_section(yaml: Path) -> None:
    yaml.write_text("plugins: {a: {url: x, depth: 3}}\n")
    configuration = load(yaml)
    assert configuration.plugin("a", Backend, others=setting_names(Other)).url == "x"
    assert configuration.plugin("a", Other, others=setting_names(Backend)).depth == 3
    assert "plugins.a.depth: unknown key" in rejection(configuration, "a")


def test_an_invalid_settings_class_is_a_fault_of_the_plugin() -> None:
    class Plain:
        pass

    @frozen
    class Required:
        url: str

    @frozen
    class Broken:
        url: NoSuchType = None  # type: ignore[name-defined]  # noqa: F821  # the point of the test

    assert "is not an attrs class" in rejection(load(), kind=Plain)
    assert "CANDY_PROMETHEUS_URL: is required" in rejection(load(), kind=Required)
    assert "Broken: NameError: name 'NoSuchType' is not defined" in rejection(load(), kind=Broken)


def test_a_variable_belongs_to_the_plugin_with_the_longest_name() -> None:
    configuration = load(CANDY_A_B_URL="http://x")
    assert configuration.plugin("a", Other).b_url == "http://x"
    both = configuration.with_plugins(["a", "a_b"])
    assert both.plugin("a", Other).b_url is None
    assert both.plugin("a_b", Backend).url == "http://x"


def test_a_core_setting_with_a_plugin_s_prefix_is_also_the_plugin_s(yaml: Path) -> None:
    @frozen(kw_only=True)
    class Redis:
        url: Secret | None = None

    yaml.write_text("redis_url: redis://file\n")
    of_file = load(yaml).plugin("redis", Redis).url
    assert of_file is not None
    assert of_file.reveal() == "redis://file"
    of_environment = load(yaml, CANDY_REDIS_URL="redis://environment").plugin("redis", Redis).url
    assert of_environment is not None
    assert of_environment.reveal() == "redis://environment"
    yaml.write_text("redis_url: redis://file\nplugins: {redis: {url: redis://section}}\n")
    assert "redis_url and plugins.redis.url are the same setting" in rejection(load(yaml), "redis", Redis)


def test_variables_of_kubernetes_are_not_settings() -> None:
    """A Service candy-prometheus puts CANDY_PROMETHEUS_PORT=tcp://… into every pod of its namespace."""
    configuration = load(CANDY_PROMETHEUS_PORT="tcp://10.0.0.1:9090", CANDY_PROMETHEUS_SERVICE_HOST="10.0.0.1")
    assert configuration.plugin("prometheus", Backend) == Backend()
    assert configuration.unknown_variables({"prometheus": setting_names(Backend)}) == ()


def test_a_section_without_a_plugin_is_a_warning_with_the_nearest_name(yaml: Path) -> None:
    yaml.write_text("plugins: {promethus: {url: x}, ssh: {}}\n")
    assert load(yaml).with_plugins(["prometheus", "ssh"]).warnings == (
        f"{yaml}: plugins.promethus: no plugin of that name is installed; did you mean prometheus?",
    )


def test_an_unknown_variable_is_a_warning_with_the_nearest_name() -> None:
    """Contract §7: "An unknown `CANDY_*` variable is a warning; … which Kubernetes injects, are not even that.\""""
    configuration = load(
        CANDY_LOG_LEVLE="x",
        CANDY_PROMETHEUS_URLS="x",
        CANDY_PROMETHEUS_URL="x",
        CANDY_PROMETHEUS_SECRET_FILE="/none",
        CANDY_API_KEYS="x",
        CANDY_AGENT_SERVICE_HOST="10.0.0.1",
        CANDY_AGENT_SERVICE_PORT_HTTP="8888",
        CANDY_AGENT_PORT="tcp://10.0.0.1:8888",
        CANDY_AGENT_PORT_8888_TCP_ADDR="10.0.0.1",
        CANDY_TEST_REQUIRE="all",
        CANDY_RUN="abc",
        PATH="/bin",
        CANDYLAND="x",
    )
    assert configuration.warnings == ()
    assert configuration.unknown_variables({"prometheus": setting_names(Backend)}) == (
        "CANDY_API_KEYS: unknown variable; did you mean CANDY_API_KEY?",
        "CANDY_LOG_LEVLE: unknown variable; did you mean CANDY_LOG_LEVEL?",
        "CANDY_PROMETHEUS_URLS: unknown variable; did you mean CANDY_PROMETHEUS_URL?",
    )


def test_variables_of_a_plugin_with_unknown_settings_give_no_warning() -> None:
    configuration = load(CANDY_SSH_ANYTHING="x")
    assert configuration.unknown_variables({"ssh": None}) == ()
    assert configuration.unknown_variables({}) == ("CANDY_SSH_ANYTHING: unknown variable",)


def reveal(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


@pytest.mark.parametrize("content", ["hunter2", "hunter2\n", "hunter2\r\n"])
def test_any_secret_may_be_given_as_a_file(tmp_path: Path, content: str) -> None:
    """Contract §7: "Any secret `X` may be given as `X_FILE`.\""""
    file = tmp_path / "secret"
    file.write_text(content)
    config = tmp_path / "a.yaml"
    config.write_text(
        f"api_key_file: {file}\nplugins:\n  prometheus:\n    secret_file: {file}\n"
        f"    datasources: {{a: {{url: x, password_file: {file}}}}}\n    mirrors: [{{url: x, password_file: {file}}}]\n"
    )
    configuration = load(config, CANDY_SERVER_API_KEY_FILE=str(file))
    assert reveal(configuration.settings.api_key) == "hunter2"
    assert reveal(configuration.settings.server_api_key) == "hunter2"
    assert configuration.secret_files == {"api_key": file, "server_api_key": file}
    settings = configuration.plugin("prometheus", Backend)
    assert reveal(settings.secret) == "hunter2"
    assert reveal(settings.datasources["a"].password) == "hunter2"
    assert reveal(settings.mirrors[0].password) == "hunter2"
    text = f'{{"a":{{"url":"x","password_file":"{file}"}}}}'
    settings = load(CANDY_PROMETHEUS_DATASOURCES=text).plugin("prometheus", Backend)
    assert reveal(settings.datasources["a"].password) == "hunter2"


def test_only_one_newline_is_removed_from_a_secret_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" a b \n\n")
    assert reveal(load(CANDY_STORE_KEY_FILE=str(file)).settings.store_key) == " a b \n"


def test_a_secret_given_twice_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")
    config = tmp_path / "a.yaml"
    config.write_text(f"api_key: hunter2\napi_key_file: {file}\n")
    for arguments, source in (
        ((config, {}), f"{config}: api_key_file"),
        ((None, {"CANDY_API_KEY": "hunter2", "CANDY_API_KEY_FILE": str(file)}), "CANDY_API_KEY_FILE"),
    ):
        with pytest.raises(SettingsError) as caught:
            load_configuration(*arguments, hostname="h")
        assert str(caught.value) == f"{source}: expected either this or api_key, but both are given"


def test_a_secret_of_the_environment_overrides_both_forms_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("of-file")
    config = tmp_path / "a.yaml"
    config.write_text(f"api_key_file: {file}\nserver_api_key: of-config\nplugins: {{p: {{secret_file: /none}}}}\n")
    configuration = load(
        config, CANDY_API_KEY="of-environment", CANDY_SERVER_API_KEY_FILE=str(file), CANDY_P_SECRET="of-environment"
    )
    assert reveal(configuration.settings.api_key) == "of-environment"
    assert reveal(configuration.settings.server_api_key) == "of-file"
    assert configuration.secret_files == {"server_api_key": file}
    assert reveal(configuration.plugin("p", Backend).secret) == "of-environment"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff", "the file cannot be read: it is not UTF-8 text"),
    ],
)
def test_an_unusable_secret_file_stops_the_start(tmp_path: Path, make: bytes | None, expected: str) -> None:
    file = tmp_path / "hunter2"
    if make is not None:
        file.write_bytes(make)
    with pytest.raises(SettingsError) as caught:
        load(CANDY_API_KEY_FILE=str(file))
    # Not even the name of the file: somebody may have put the secret itself there.
    assert str(caught.value) == f"CANDY_API_KEY_FILE: {expected}"


def test_a_blocked_name_without_a_plugin_is_a_warning_with_the_nearest() -> None:
    """Contract §7: `CANDY_PLUGINS_BLOCKED` has names; what a slip of the pen should have blocked is running."""
    record = PluginRecord(
        name="bash", distribution="candy-bash", version="1", state=PluginState.ACTIVE, provides=("executor:bash",)
    )
    settings = PluginSettings(load(CANDY_PLUGINS_BLOCKED="bahs,Candy_Bash,ssh"), Registry(plugins=(record,)))
    assert settings.warnings == (
        "CANDY_PLUGINS_BLOCKED: no plugin bahs is installed; did you mean bash?",
        "CANDY_PLUGINS_BLOCKED: no plugin ssh is installed",
    )
