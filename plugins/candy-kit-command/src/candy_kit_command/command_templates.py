"""The agent's templates (contract section 3): the commands that items may run without the scope ``tasks:command``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Self

from attrs import Factory, frozen

from candy_core import (
    Invalid,
    Locale,
    Outcome,
    Problem,
    Reason,
    SettingsError,
    item_sentences,
    params_reader,
    read_yaml,
)
from candy_kit_command import texts
from candy_kit_command.argument import ArgumentRejected
from candy_kit_command.command import Command
from candy_kit_command.params import CommandParams, CommandSettings
from candy_kit_command.template import Template, TemplateSpec, compile_template

MAX_FILE = 1024 * 1024
"""Bytes of a template file: enough for a thousand templates, and quick to read."""


@frozen(kw_only=True)
class _File:
    """A template file."""

    templates: Mapping[str, TemplateSpec] = Factory(dict)


@frozen
class CommandTemplates:
    """Templates by name. Files are read once, by :meth:`load`; later changes to them have no effect."""

    templates: Mapping[str, Template]

    @classmethod
    def load(cls, settings: CommandSettings) -> Self:
        """Read the built-in templates and the configured files; blocks. Raises :class:`SettingsError`."""
        found = _read("built-in", _builtin()) if settings.builtin_templates else {}
        origin: dict[str, Path] = {}
        for file in settings.templates:
            try:
                with file.open("rb") as stream:
                    data = stream.read(MAX_FILE + 1)
            except OSError as error:
                raise SettingsError(f"templates: {file} cannot be read: {error.strerror}") from None
            if len(data) > MAX_FILE:
                raise SettingsError(f"templates: {file} is larger than {MAX_FILE} bytes")
            for name, template in _read(str(file), data).items():
                if name in origin:
                    raise SettingsError(f"templates: {name} is in {origin[name]} and in {file}: remove one of them")
                origin[name] = file
                found[name] = template
        return cls(found)

    def command_of(
        self, params: CommandParams, settings: CommandSettings, locale: Locale, *, setting: str
    ) -> Command | Outcome:
        """The command to run for ``params``, or the outcome that says why it may not run.

        ``setting`` is the setting that enables free-form commands, for the message: ``CANDY_BASH_ALLOW_COMMAND``.
        """
        if params.command is not None:
            if not settings.allow_command:
                return Outcome.failed(Reason.NOT_ALLOWED, item_sentences.setting_off(locale, setting))
            return Command(shell=params.command, label=texts.sentence(locale, texts.FREE_FORM))
        name = params.template or ""
        template = self.templates.get(name)
        if template is None:
            known = ", ".join(sorted(self.templates))
            msgid = texts.NO_TEMPLATE if known else texts.NO_TEMPLATES
            sentence = texts.sentence(locale, msgid, template=name, templates=known)
            return Outcome.failed(Reason.BAD_PARAMS, sentence)
        values: dict[str, str] = {}
        problems: list[Problem] = []
        for key in params.args:
            if key not in template.params:
                names = ", ".join(template.params)
                msgid = texts.UNKNOWN_ARG if names else texts.UNKNOWN_ARG_OF_NONE
                problems.append(Problem(_path(key), texts.sentence(locale, msgid, names=names)))
        for key, parameter in template.params.items():
            given = params.args.get(key)
            given = parameter.default if given is None else given
            if given is None:
                if parameter.required:
                    problems.append(Problem(_path(key), texts.sentence(locale, texts.REQUIRED)))
                continue
            try:
                text = parameter.text_of(given)
            except ArgumentRejected as error:
                problems.append(Problem(_path(key), texts.sentence(locale, error.msgid, **error.values)))
                continue
            if text is not None:
                values[key] = text
        if problems:
            return Outcome.failed(Reason.BAD_PARAMS, item_sentences.bad_params(locale, problems))
        return template.command(values)


def _path(key: str) -> str:
    shown = key[:80].encode("unicode_escape", "replace").decode() if not key.isprintable() else key[:80]
    return f"$.params.args.{shown}"


def _builtin() -> bytes:
    return (resources.files(__package__) / "templates.yaml").read_bytes()


def _read(origin: str, data: bytes) -> dict[str, Template]:
    try:
        document = read_yaml(data, path=origin)
        specs = params_reader.read({} if document is None else document, _File, path=origin).templates
    except Invalid as error:
        raise SettingsError(f"templates: {error}") from None
    found: dict[str, Template] = {}
    for name, spec in specs.items():
        try:
            found[name] = compile_template(name, spec)
        except Invalid as error:
            wrong = "; ".join(f"{name}.{problem.path}: {problem.message}" for problem in error.problems)
            raise SettingsError(f"templates: {origin}: {wrong}") from None
    return found
