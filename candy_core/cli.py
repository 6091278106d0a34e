"""The command line. Only ``serve`` logs; other commands use standard output for their result (contract section 7).

Commands import what they need when they run, so that ``--version`` does not import a web server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from candy_core.errors import SettingsError
from candy_core.version import __version__

if TYPE_CHECKING:
    from candy_core.config import Configuration
    from candy_core.registry import PluginRecord

_SETTINGS_ERROR = 2
_PLUGIN_SETTINGS_ERROR = 1

_config = click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A YAML or TOML file; the environment overrides it.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Candy Agent: runs inspection tasks and reports the results."""


@main.command()
@_config
def serve(file: Path | None) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Exits with 0 after an orderly shutdown, with 2 if the configuration cannot be used.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # a container's first process ignores signals without a handler
        signal.signal(number, lambda *_: os._exit(0))  # nothing has started; the event loop replaces it
    configuration = _load(file)
    from candy_core import log_output

    log_output.configure(configuration.settings.log_level)
    from candy_core.faults import leaves
    from candy_core.process import serve as run

    code = 0
    settings_errors: list[BaseException] = []
    try:
        code = run(configuration)
    except* SettingsError as errors:  # in a group if raised inside a running part
        settings_errors.extend(leaves(errors))
    if settings_errors:
        _exit_with(*settings_errors)
    sys.exit(code)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON of GET /api/v1/plugins.")
@_config
def plugins(file: Path | None, as_json: bool) -> None:
    """List the installed plugins and their errors. Connects to nothing."""
    configuration = _load(file)
    _silence()
    import attrs

    from candy_core.codec import to_json
    from candy_core.hosting.plugin_settings import PluginSettings
    from candy_core.registry import PluginState, discover

    registry = discover(blocked=configuration.settings.plugins_blocked)
    wrong = PluginSettings(configuration, registry).errors()
    records = [
        attrs.evolve(record, state=PluginState.FAILED, error=wrong[record.name])
        if record.name in wrong and record.state is PluginState.ACTIVE
        else record
        for record in registry.plugins
    ]
    if as_json:
        click.echo(json.dumps({"plugins": to_json(records)}, ensure_ascii=False, indent=2))
    else:
        click.echo(_table(records))


@main.command("check-config")
@_config
def check_config(file: Path | None) -> None:
    """Check the configuration and print the effective one, with secrets masked.

    Exits with 2 if the agent would not start, with 1 if a plugin would fail. Errors and warnings go to standard error.
    """
    configuration = _load(file)
    _silence()
    from candy_core.codec import to_json
    from candy_core.hosting.plugin_settings import PluginSettings
    from candy_core.keys import KeyRing
    from candy_core.log_output import masked
    from candy_core.registry import discover

    settings = PluginSettings(configuration, discover(blocked=configuration.settings.plugins_blocked))
    wrong = settings.errors()
    effective: dict[str, dict[str, object]] = {}
    for plugin, kinds in settings.classes.items():
        if plugin not in wrong:
            effective[plugin] = {}
            for kind in kinds:
                effective[plugin].update(to_json(settings.read(plugin, kind)))  # type: ignore[arg-type]  # a record: an object
    result = {**to_json(configuration.settings), "plugins": effective}  # type: ignore[dict-item]  # the same
    click.echo(json.dumps(masked(result), ensure_ascii=False, indent=2))
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    for error in wrong.values():
        click.echo(error, err=True)
    try:
        KeyRing(configuration.settings.api_key, configuration.settings.api_keys_file)
        settings.require(configuration.settings.plugins_required)
    except SettingsError as error:
        _exit_with(error)
    sys.exit(_PLUGIN_SETTINGS_ERROR if wrong else 0)


def _load(file: Path | None) -> Configuration:
    from candy_core.config import load_configuration

    try:
        return load_configuration(file, os.environ, hostname=socket.gethostname())
    except SettingsError as error:
        _exit_with(error)


def _exit_with(*errors: BaseException) -> NoReturn:
    click.echo(f"candy-agent: {'; '.join(map(str, errors))}", err=True)
    sys.exit(_SETTINGS_ERROR)


def _silence() -> None:
    from candy_core import log_output

    log_output.silence()


def _table(records: Sequence[PluginRecord]) -> str:
    if not records:
        return "No plugins are installed. Install one next to the agent, for example candy-prometheus."
    head = ("NAME", "STATE", "DISTRIBUTION", "PROVIDES")
    rows = [
        (record.name, record.state.value, f"{record.distribution} {record.version}", ", ".join(record.provides) or "-")
        for record in records
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    lines = []
    for row, error in zip((head, *rows), (None, *(record.error for record in records)), strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[3]]))
        if error:
            lines.append(f"  {' '.join(error.split())}")
    return "\n".join(lines)
