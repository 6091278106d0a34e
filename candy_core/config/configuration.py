"""The configuration: environment over file over defaults (contract section 7).

The core's own codec reads the values, since typed-settings ignores unknown keys and reads ``"a,b"`` as one entry.

A plugin's settings come from two places: its section ``plugins.<name>`` of the file, and ``CANDY_<NAME>_<SETTING>``. A
core setting with such a name (``redis_url`` for a setting ``url`` of a plugin ``redis``) is also a setting of that
plugin. An empty variable counts as not set. Paths are relative to the folder in which the agent is started.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar, cast

import attrs
from attrs import field, frozen

from candy_core.codec import params_reader
from candy_core.codec.kinds import key_of
from candy_core.config.file import read_config_file
from candy_core.config.secret_files import reveal_files, secret_keys
from candy_core.config.settings import Settings, contradictions
from candy_core.errors import Invalid, Problem, SettingsError
from candy_core.model.task import Json

S = TypeVar("S")

_BARE = {"agent_id": "AGENT_ID", "heartbeat_interval": "HEARTBEAT_INTERVAL", "log_level": "LOG_LEVEL"}
"""Settings with a second variable without ``CANDY_``. If both are set, the one with ``CANDY_`` wins."""
_KUBERNETES = re.compile(r"CANDY_([A-Z0-9_]+_)?(SERVICE_|PORT)")
"""Variables that Kubernetes sets for every service of the namespace whose name starts with ``candy-``."""
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")
_OURS = re.compile(r"CANDY_(TEST_.*|RUN|RUN_.*)")
"""Variables of the tests, and the marker of a command's processes."""


def load_configuration(file: Path | None, environ: Mapping[str, str], *, hostname: str) -> Configuration:
    """Read the file, if there is one, and the environment.

    ``hostname`` is the agent's id if none is given. Raises :class:`SettingsError`, one line that names the file or the
    variable, the key, and for an unknown key the nearest known one.
    """
    content = dict(read_config_file(file)) if file else {}
    sections = _sections(content.pop("plugins", None), str(file))
    variables = {name: value for name, value in environ.items() if value and _is_ours(name, value)}
    for name, value in variables.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise SettingsError(f"{name}: its value is not UTF-8") from None
    source = _Source(file=str(file) if file else "", section="", variables=variables)
    warnings = tuple(
        f"{bare} is ignored, since CANDY_{bare} is set to something else"
        for bare in _BARE.values()
        if bare in variables and variables.get(f"CANDY_{bare}", variables[bare]) != variables[bare]
    )
    values, labels = source.collect(Settings, content, core_variables)
    values.setdefault("agent_id", hostname or "candy-agent")
    labels.setdefault("agent_id", "AGENT_ID (by default the host's name)")
    secret_paths = {
        key.removesuffix("_file"): Path(str(values[key])) for key in secret_keys(Settings) if values.get(key)
    }
    settings = _read(values, labels, Settings, set())
    faults = [f"{labels.get(problem.path, problem.path)}: {problem.message}" for problem in contradictions(settings)]
    if faults:
        raise SettingsError(_one_line(faults))
    return Configuration(
        settings=settings,
        warnings=warnings,
        secret_files=secret_paths,
        file=source.file,
        core=content,
        sections=sections,
        variables=variables,
    )


@frozen(kw_only=True)
class Configuration:
    """The configuration of the core and of every plugin. ``warnings`` are only logged."""

    settings: Settings
    warnings: tuple[str, ...] = ()
    secret_files: Mapping[str, Path] = field(factory=dict, repr=False)
    """The files that secrets were read from, by the name of the setting. The secrets may be rotated there."""
    file: str = ""
    core: Mapping[str, Json] = field(factory=dict, repr=False)
    sections: Mapping[str, Mapping[str, Json]] = field(factory=dict, repr=False)
    variables: Mapping[str, str] = field(factory=dict, repr=False)
    installed: frozenset[str] = frozenset()

    def with_plugins(self, installed: Iterable[str]) -> Configuration:
        """The configuration with the names of all installed plugins, including failed and blocked ones.

        Adds a warning for each section of the file without a plugin. A variable then belongs to the plugin with the
        longest name that it starts with.
        """
        names = frozenset(installed)
        warnings = tuple(
            f"{self.file}: plugins.{name}: no plugin of that name is installed{_nearest(name, names)}"
            for name in self.sections
            if name not in names
        )
        return attrs.evolve(self, installed=names, warnings=self.warnings + warnings)

    def plugin(self, name: str, kind: type[S], *, others: Collection[str] = ()) -> S:
        """The settings of a plugin as a ``kind``, an attrs class whose fields all have defaults.

        ``others`` are the keys of other Specs of the same plugin (see :func:`setting_names`), which are allowed as
        well. Raises :class:`SettingsError`, one line that names every wrong key and its source.
        """
        if not attrs.has(cast("type", kind)):
            raise SettingsError(f"plugin {name}: its settings class {_name(kind)} is not an attrs class")
        try:
            keys = setting_names(kind)
        except Exception as error:  # for example an annotation with an undefined name
            what = f"{type(error).__name__}: {error}"
            raise SettingsError(_one_line([f"plugin {name}: its settings class {_name(kind)}: {what}"])) from error
        prefix = f"CANDY_{name.upper()}_"
        longer = tuple(
            f"CANDY_{other.upper()}_"
            for other in self.installed
            if other != name and other.upper().startswith(f"{name.upper()}_")
        )
        own = {key: value for key, value in self.variables.items() if not (longer and key.startswith(longer))}
        source = _Source(file=self.file, section=f"plugins.{name}.", variables=own)
        section = dict(self.sections.get(name, {}))
        shared = {}
        for key in keys:
            if f"{name}_{key}" in self.core and f"{name}_{key}" in _CORE:
                if key in section:
                    raise SettingsError(f"{self.file}: {name}_{key} and plugins.{name}.{key} are the same setting")
                section[key] = self.core[f"{name}_{key}"]
                shared[key] = f"{self.file}: {name}_{key}"
        values, labels = source.collect(kind, section, lambda key: (prefix + key.upper(),))
        labels.update({key: label for key, label in shared.items() if not labels[key].startswith("CANDY_")})
        for key in keys:
            labels.setdefault(key, prefix + key.upper())  # names the variable for a missing setting
        return _read(values, labels, kind, set(others))

    def unknown_variables(self, plugins: Mapping[str, Iterable[str] | None]) -> tuple[str, ...]:
        """A warning for every ``CANDY_…`` variable that is neither the core's nor a plugin's.

        ``plugins`` has the setting names of every installed plugin (see :func:`setting_names`), or ``None`` if they are
        unknown because the plugin failed or is blocked: then there are no warnings for its variables.
        """
        prefixes = sorted(((f"CANDY_{name.upper()}_", name) for name in plugins), key=lambda pair: -len(pair[0]))
        known = {variable for key in _CORE for variable in core_variables(key)}
        for prefix, name in prefixes:
            known.update(prefix + setting.upper() for setting in plugins[name] or ())
        warnings = []
        for variable in sorted(self.variables):
            if variable in known or variable.removesuffix("_FILE") in known or not variable.startswith("CANDY_"):
                continue
            if _KUBERNETES.match(variable):
                continue
            owner = next((name for prefix, name in prefixes if variable.startswith(prefix)), None)
            if owner is not None and plugins[owner] is None:
                continue
            warnings.append(f"{variable}: unknown variable{_nearest(variable, known)}")
        return tuple(warnings)


def setting_names(kind: type) -> tuple[str, ...]:
    """The keys of a settings class: its fields, and for each secret ``x`` also ``x_file``."""
    keys = tuple(key_of(attribute) for attribute in attrs.fields(kind) if attribute.init)
    return (*keys, *(key for key in secret_keys(kind) if key not in keys))


_CORE = frozenset(setting_names(Settings))


@frozen(kw_only=True)
class _Source:
    """The two sources of settings: a section of the file, and variables."""

    file: str
    section: str
    variables: Mapping[str, str] = field(repr=False)

    def collect(
        self, kind: type, section: Mapping[str, Json], names: Callable[[str], tuple[str, ...]]
    ) -> tuple[dict[str, Json], dict[str, str]]:
        """The values by key, environment over file, and the source of each for messages."""
        values = dict(section)
        labels = {key: f"{self.file}: {self.section}{key}" for key in section}
        given = {
            key: variable
            for key in setting_names(kind)
            if (variable := next((name for name in names(key) if name in self.variables), None))
        }
        for key in secret_keys(kind):  # a secret of the environment overrides both forms in the file
            forms = (key, key.removesuffix("_file"))
            if any(form in given for form in forms):
                for form in forms:
                    values.pop(form, None)
        values.update((key, self.variables[variable]) for key, variable in given.items())
        return values, {**labels, **given}


def _read(values: Mapping[str, Json], labels: Mapping[str, str], kind: type[S], others: set[str]) -> S:
    known = set(setting_names(kind))
    sources = dict(labels)
    faults = [
        f"{labels[key]}: unknown key{_unknown_hint(key, values[key], known | others, kind)}"
        for key in values
        if key not in known and key not in others
    ]
    try:
        revealed = reveal_files({key: value for key, value in values.items() if key in known}, kind)
        for key in secret_keys(kind):
            if key in values:
                sources[key.removesuffix("_file")] = labels[key]
        result = params_reader.read(cast("Json", revealed), kind)
    except Invalid as error:
        faults += [_fault(problem, sources, values) for problem in error.problems]
    except Exception as error:  # noqa: BLE001  # the settings class of a plugin may have any fault
        faults.append(f"the settings class {_name(kind)} cannot be used: {type(error).__name__}")
    if faults:
        raise SettingsError(_one_line(faults))
    return result


def _fault(problem: Problem, sources: Mapping[str, str], values: Mapping[str, Json]) -> str:
    match = re.match(r"\$\.([A-Za-z0-9_-]+)(.*)", problem.path, re.DOTALL)
    if not match:
        return f"{problem.path}: {problem.message}"
    key, rest = match.groups()
    message = problem.message
    if message == "expected a string" and isinstance(values.get(key), bool | int | float) and not rest:
        message += ": put it into quotes"
    return f"{sources.get(key, key)}{rest}: {message}"


def _unknown_hint(key: str, value: Json, known: Collection[str], kind: type) -> str:
    near = _nearest(key, known)
    if not near and kind is Settings and isinstance(value, Mapping):
        return f"; a plugin's section belongs below plugins, as plugins.{key}"
    return near or f"; known keys: {', '.join(sorted(known)) or 'none'}"


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def core_variables(key: str) -> tuple[str, ...]:
    """The variables of a core setting in their order of precedence."""
    return (f"CANDY_{key.upper()}", _BARE[key]) if key in _BARE else (f"CANDY_{key.upper()}",)


def _is_ours(name: str, value: str) -> bool:
    if name in _BARE.values():
        return True
    if not name.startswith("CANDY_") or _OURS.fullmatch(name):
        return False
    # CANDY_REDIS_PORT=tcp://10.0.0.1:6379 comes from a service candy-redis and is not a port.
    return not (_KUBERNETES.match(name) and _SERVICE_LINK.match(value))


def _sections(value: Json, file: str) -> dict[str, Mapping[str, Json]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SettingsError(f"{file}: plugins: expected a section for each plugin")
    sections: dict[str, Mapping[str, Json]] = {}
    for name, section in value.items():
        if section is not None and not isinstance(section, Mapping):
            raise SettingsError(f"{file}: plugins.{name}: expected a section with the plugin's settings")
        sections[name] = section or {}
    return sections


def _name(kind: object) -> str:
    return getattr(kind, "__qualname__", type(kind).__qualname__)


def _one_line(faults: Iterable[str]) -> str:
    return " ".join("; ".join(faults).split())
