"""Templates: the commands that an item may run, and how template files are read."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candy_core import Invalid, ItemStatus, Locale, Outcome, Reason, SettingsError, params_reader
from candy_kit_command import Command, CommandParams, CommandSettings, CommandTemplates, command_scopes

Load = Callable[..., CommandTemplates]
Resolve = Callable[..., Command | Outcome]
README = Path(__file__).parents[1] / "README.md"

LIST = """
templates:
  list:
    argv: [ls, [-w, '{width}'], '{all}', --, '{folder}']
    params:
      width: {kind: integer, optional: true}
      all: {kind: flag, argument: --all}
      folder: {kind: path, root: /srv, default: /srv}
  login:
    argv: [login, '--password={password}']
    params:
      password: {kind: string, secret: true}
"""


def read(params: dict[str, Any]) -> CommandParams:
    return params_reader.read(params, CommandParams)


def test_a_template_becomes_an_argv_without_a_shell(load: Load, resolve: Resolve) -> None:
    """Contract §3: 'The catalogue holds argv lists with typed parameters'."""
    command = resolve(
        load(LIST), {"template": "list", "args": {"width": "80", "all": "true", "folder": "/srv/$(id) ;x"}}
    )
    assert isinstance(command, Command)
    assert command.argv == ("ls", "-w", "80", "--all", "--", "/srv/$(id) ;x")
    assert command.shell is None
    assert command.label == "ls -w 80 --all -- '/srv/$(id) ;x'"


def test_arguments_may_come_as_json_text(load: Load, resolve: Resolve) -> None:
    command = resolve(load(LIST), {"template": "list", "args": '{"folder": "/srv/a"}'})
    assert isinstance(command, Command)
    assert command.argv == ("ls", "--", "/srv/a")


@pytest.mark.parametrize(
    ("template", "args", "expected"),
    [
        ("http_probe", {"host": "::1", "port": 80}, "http://[::1]:80/"),
        ("http_probe", {"host": "10.0.0.1", "port": 80}, "http://10.0.0.1:80/"),
        ("certificate_expiry", {"host": "2001:db8::1"}, "[2001:db8::1]:443"),
        ("certificate_expiry", {"host": "2001:db8::1"}, "2001:db8::1"),
        ("ping", {"host": "::1"}, "::1"),
    ],
)
def test_an_ipv6_address_is_in_brackets_where_a_port_could_follow(
    load: Load, resolve: Resolve, template: str, args: dict[str, Any], expected: str
) -> None:
    command = resolve(load("templates: {}", builtin=True), {"template": template, "args": args})
    assert isinstance(command, Command)
    assert expected in command.argv


def test_brackets_are_added_only_where_needed(load: Load, resolve: Resolve) -> None:
    text = "templates: {a: {argv: [a, '--host={h}', '[{h}]:{p}', 'x://{h}/', '{s}:1'], params: {h: {kind: host}, "
    text += "p: {kind: integer, default: 5}, s: {kind: string}}}}"
    command = resolve(load(text), {"template": "a", "args": {"h": "::1", "s": "a:b"}})
    assert isinstance(command, Command)
    assert command.argv == ("a", "--host=::1", "[::1]:5", "x://[::1]/", "a:b:1")


def test_a_secret_argument_is_passed_on_but_not_shown(load: Load, resolve: Resolve) -> None:
    command = resolve(load(LIST), {"template": "login", "args": {"password": "s3cret"}})
    assert isinstance(command, Command)
    assert command.argv[1] == "--password=s3cret"
    assert "s3cret" not in command.label
    assert "s3cret" not in repr(command)


@pytest.mark.parametrize("locale", Locale)
def test_every_problem_with_the_arguments_is_reported(load: Load, resolve: Resolve, locale: Locale) -> None:
    args = {"folder": "/etc", "width": "x", "wdith": 1}
    outcome = resolve(load(LIST), {"template": "list", "args": args}, locale=locale)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.BAD_PARAMS)
    for path in ("$.params.args.folder", "$.params.args.width", "$.params.args.wdith"):
        assert path in outcome.message
    assert "/srv" in outcome.message


def test_a_missing_required_argument_is_reported(load: Load, resolve: Resolve) -> None:
    outcome = resolve(load(LIST), {"template": "login"})
    assert isinstance(outcome, Outcome)
    assert "$.params.args.password: is required" in outcome.message


def test_an_unknown_template_lists_the_available_ones(load: Load, resolve: Resolve) -> None:
    outcome = resolve(load(LIST), {"template": "lsit"})
    assert isinstance(outcome, Outcome)
    assert outcome.reason == Reason.BAD_PARAMS
    assert "list, login" in outcome.message


@pytest.mark.parametrize("locale", Locale)
def test_a_free_form_command_needs_the_configuration(load: Load, resolve: Resolve, locale: Locale) -> None:
    """Contract §3: 'refused otherwise with `not_allowed` and a sentence that says what to enable'."""
    outcome = resolve(load(LIST), {"command": "id; id"}, locale=locale)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.reason) == (ItemStatus.FAILED, Reason.NOT_ALLOWED)
    assert "CANDY_BASH_ALLOW_COMMAND" in outcome.message


def test_an_enabled_free_form_command_is_a_text_for_a_shell_and_is_not_shown(load: Load, resolve: Resolve) -> None:
    command = resolve(load(LIST), {"command": "mysql -ps3cret"}, allow=True)
    assert isinstance(command, Command)
    assert command.shell == "mysql -ps3cret"
    assert command.argv == ()
    assert "s3cret" not in repr(command)
    assert "s3cret" not in repr(read({"command": "mysql -ps3cret"}))


def test_a_free_form_command_needs_a_scope() -> None:
    """Contract §1: '`tasks:command` (items with a free-form command …)'."""
    assert command_scopes(read({"command": "id"})) == {"tasks:command"}
    assert command_scopes(read({"template": "uptime"})) == frozenset()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"template": "a", "command": "b"},
        {"command": ""},
        {"command": " \n"},
        {"command": "a\0b"},
        {"command": "a", "args": {"b": 1}},
        {"command": "x" * 70_000},
        {"template": "a", "threshold": ""},
        {"template": "a", "critical": "many"},
        {"template": "a", "nagios": "perhaps"},
        {"template": ["a"]},
        {"template": "a", "shell": "/bin/sh"},
    ],
    ids=str,
)
def test_missing_contradictory_and_unknown_params_are_rejected(params: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read(params)


def test_replacing_a_file_after_it_was_read_has_no_effect(tmp_path: Path, resolve: Resolve) -> None:
    file = tmp_path / "templates.yaml"
    file.write_text("templates: {it: {argv: [echo, good]}}")
    templates = CommandTemplates.load(CommandSettings(templates=(file,)))
    file.write_text("templates: {it: {argv: [echo, evil]}, other: {argv: [id]}}")
    command = resolve(templates, {"template": "it"})
    assert isinstance(command, Command)
    assert command.argv == ("echo", "good")
    assert isinstance(resolve(templates, {"template": "other"}), Outcome)


def test_a_template_in_a_file_replaces_the_built_in_one(load: Load, resolve: Resolve) -> None:
    templates = load("templates: {uptime: {argv: [uptime, -s]}}", builtin=True)
    command = resolve(templates, {"template": "uptime"})
    assert isinstance(command, Command)
    assert command.argv == ("uptime", "-s")
    assert "disk_usage" in templates.templates


def test_one_template_in_two_files_is_an_error_that_names_both_files(tmp_path: Path) -> None:
    files = (tmp_path / "a.yaml", tmp_path / "b.yaml")
    for file in files:
        file.write_text("templates: {it: {argv: [id]}}")
    with pytest.raises(SettingsError, match=r"it is in .*a\.yaml and in .*b\.yaml"):
        CommandTemplates.load(CommandSettings(templates=files))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("templates: [", "not YAML"),
        ("[]", "expected an object"),
        ("templates: {a: {argv: []}}", "a.argv: expected a program"),
        ("templates: {a: {argv: ['{x}'], params: {x: {kind: host}}}}", "name of a program"),
        ("templates: {a: {argv: [ls, '{x}']}}", "argv[1]: expected a parameter instead of {x}"),
        ("templates: {a: {argv: [ls], params: {x: {kind: host}}}}", "params.x: expected argv to use it"),
        ("templates: {a: {argv: [ls, '{x}'], params: {x: {kind: hots}}}}", "kind: expected one of"),
        ("templates: {a: {argv: [ls, '{x}'], params: {x: {kind: enum}}}}", "expected values for an enum"),
        ("templates: {a: {argv: [ls, '-{x}'], params: {x: {kind: flag, argument: -x}}}}", "to stand alone"),
        ("templates: {a: {argv: [ls, '{x}'], params: {x: {kind: path, root: /a/../b}}}}", "absolute root"),
        ("templates: {a: {argv: [ls, '{x}'], params: {x: {kind: host, default: -x}}}}", "default: expected a host"),
        ("templates: {a: {argv: [ls, '{x}'], params: {x: {kind: string, pattern: '('}}}}", "regular expression"),
        ("templates: {a: {argv: [ls, {raw: x}]}}", "argv[1]: expected a text"),
        ("templates: {a: {argv: [ls, 5]}}", "argv[1]: expected a text"),
        ("templates: {a: {argv: ls -l}}", "argv"),
        ("templates: {a: {argv: [ls], number: {pattern: '(a)(b)'}}}", "at most one group"),
        ("templates: {a: {argv: [ls], shell: true}}", "unknown key"),
        ("templates: {a: {argv: [ls]}, a: {argv: [id]}}", "line 1: duplicate key 'a'"),
        ('templates: {a: {argv: [ls, "x\\0y"]}}', ""),
    ],
)
def test_an_invalid_file_is_a_one_line_error_that_names_the_position(load: Load, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(text)
    assert expected in str(error.value)
    assert str(error.value).startswith("templates: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml cannot be read"):
        CommandTemplates.load(CommandSettings(templates=(tmp_path / "gone.yaml",)))


def test_the_built_in_templates_have_descriptions_and_run_no_shell() -> None:
    templates = CommandTemplates.load(CommandSettings())
    assert len(templates.templates) >= 18
    for template in templates.templates.values():
        assert template.description
        assert template.program not in ("sh", "bash", "env", "xargs", "sudo")
        for parameter in template.params.values():
            assert not parameter.leading_dash


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        ({"word": "no such file", "ignore_case": "true"}, 2),
        ({"word": "no such file"}, 1),
        ({"word": "no such file", "ignore_case": "true", "limit": 1}, 1),
        ({"word": "out of memory"}, 0),
    ],
)
def test_the_readme_example_counts_and_a_log_without_the_word_is_no_failure(
    load: Load, resolve: Resolve, tmp_path: Path, args: dict[str, Any], lines: int
) -> None:
    """Contract §3: exit 0 is `normal`, else `failed`."""
    [example] = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    log = tmp_path / "log"
    log.write_text("open: No such file\nread: done\nopen: no such file\n")
    templates = load(example.replace("/var/log", str(tmp_path)))
    command = resolve(templates, {"template": "log_errors", "args": {"file": str(log)} | args})
    assert isinstance(command, Command)
    done = subprocess.run(command.argv, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{lines}\n", "")


def test_the_readme_table_has_every_built_in_template_with_its_arguments() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|[^|]*\|$", README.read_text(), re.MULTILINE))
    templates = CommandTemplates.load(CommandSettings()).templates
    assert set(templates) <= set(rows)
    for name, template in templates.items():
        documented = re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", rows[name]))
        assert set(documented) == set(template.params), name
