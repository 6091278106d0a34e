"""Templates: argv lists with typed parameters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Literal

from attrs import Factory, field, frozen

from candy_core import Invalid, Json, Mismatch, Problem, Secret
from candy_kit_command.argument import Kind, Parameter
from candy_kit_command.command import Command, NumberPattern

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*")
MAX_ARGUMENT = 131_071
"""Bytes that Linux allows in one argument."""


@frozen(kw_only=True)
class NumberSpec:
    """How a template file describes a :class:`~candy_kit_command.command.NumberPattern`."""

    pattern: str
    pick: Literal["first", "last", "min", "max", "sum", "count"] = "first"
    unit: Literal["number", "date"] = "number"


@frozen(kw_only=True)
class TemplateSpec:
    """One entry of a template file.

    An element of ``argv`` is a text, in which ``{name}`` is replaced by a parameter; ``{"literal": text}``, used as it
    is; or a list of these. A text with a parameter that has no value is left out, and so is the whole list it is in.
    The program, which is the first element, is a text without parameters.
    """

    argv: tuple[Json, ...]
    description: str = ""
    params: Mapping[str, Parameter] = Factory(dict)
    number: NumberSpec | None = None


@frozen
class _Argument:
    """One argument: literal texts with the names of parameters between them."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    def fill(self, values: Mapping[str, str], hosts: Container[str]) -> str | None:
        """The text, ``None`` if a value is missing; ``hosts`` are the names of the parameters that are hosts."""
        out = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            if name not in values:
                return None
            value = values[name]
            if name in hosts and ":" in value and (literal.startswith(":") or out[-1].endswith("//")):
                value = f"[{value}]"  # RFC 3986, section 3.2.2: else its last colon would start a port
            out += (value, literal)
        return "".join(out)


@frozen(kw_only=True)
class Template:
    """A valid template."""

    name: str
    description: str
    params: Mapping[str, Parameter]
    number: NumberPattern | None
    _groups: tuple[tuple[_Argument, ...], ...] = field(repr=False, alias="groups")

    @property
    def program(self) -> str:
        """The program: a name in the search path, or a path."""
        return self._groups[0][0].literals[0]

    def command(self, values: Mapping[str, str], label: str | None = None) -> Command:
        """The command with these parameters filled in; arguments whose parameters are missing are left out."""
        shown = {name: Secret.MASK if self.params[name].secret else text for name, text in values.items()}
        return Command(argv=self._argv(values), label=label or shlex.join(self._argv(shown)), number=self.number)

    def _argv(self, values: Mapping[str, str]) -> tuple[str, ...]:
        argv: list[str] = []
        hosts = {name for name, parameter in self.params.items() if parameter.kind is Kind.HOST}
        for group in self._groups:
            filled = [argument.fill(values, hosts) for argument in group]
            argv += [] if None in filled else [text for text in filled if text is not None]
        return tuple(argv)


def compile_template(name: str, spec: TemplateSpec) -> Template:
    """Check a description and make the template. Raises :class:`Invalid` with every problem."""
    problems = [
        Problem(f"params.{key}", "expected a name of lower-case letters, digits and _")
        for key in spec.params
        if not _PARAMETER_NAME.fullmatch(key)
    ]
    groups: list[tuple[_Argument, ...]] = []
    for index, element in enumerate(spec.argv):
        try:
            groups.append(tuple(_arguments(element)))
        except Mismatch as error:
            problems.append(Problem(f"argv[{index}]", str(error)))
    if not spec.argv:
        problems.append(Problem("argv", "expected a program and its arguments"))
    elif groups and (not isinstance(spec.argv[0], str) or groups[0][0].names or not groups[0][0].literals[0]):
        problems.append(Problem("argv[0]", "expected the name of a program, without parameters"))
    problems += _check_parameter_use(spec, groups)
    number = None
    if spec.number is not None:
        try:
            pattern = re.compile(spec.number.pattern, re.MULTILINE)
            if pattern.groups > 1:
                problems.append(Problem("number.pattern", "expected at most one group"))
            number = NumberPattern(pattern=pattern, pick=spec.number.pick, unit=spec.number.unit)
        except re.error:
            problems.append(Problem("number.pattern", "expected a regular expression"))
    if problems:
        raise Invalid(problems)
    return Template(name=name, description=spec.description, params=spec.params, number=number, groups=tuple(groups))


def _check_parameter_use(spec: TemplateSpec, groups: Sequence[Sequence[_Argument]]) -> Iterator[Problem]:
    used: set[str] = set()
    for index, group in enumerate(groups):
        for argument in group:
            used.update(argument.names)
            for name in argument.names:
                if name not in spec.params:
                    yield Problem(f"argv[{index}]", f"expected a parameter instead of {{{name}}}, or a literal")
                elif spec.params[name].kind is Kind.FLAG and argument.literals != ("", ""):
                    yield Problem(f"argv[{index}]", f"expected the flag {{{name}}} to stand alone")
    for name in spec.params:
        if name not in used:
            yield Problem(f"params.{name}", "expected argv to use it")


def _arguments(element: Json) -> Iterator[_Argument]:
    if isinstance(element, str):
        _check_text(element)
        split = _PLACEHOLDER.split(element)
        yield _Argument(tuple(split[::2]), tuple(split[1::2]))
    elif isinstance(element, Mapping) and set(element) == {"literal"} and isinstance(element["literal"], str):
        _check_text(element["literal"])
        yield _Argument((element["literal"],), ())
    elif isinstance(element, Sequence) and element and not any(isinstance(inner, list) for inner in element):
        for inner in element:
            yield from _arguments(inner)
    else:
        raise Mismatch('expected a text, {"literal": text}, or a list of those')


def _check_text(text: str) -> None:
    if "\0" in text or len(text.encode("utf-8", "replace")) > MAX_ARGUMENT:
        raise Mismatch("expected a text without NUL and of at most 128 KiB")
