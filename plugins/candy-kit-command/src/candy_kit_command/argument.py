"""The typed parameters of templates: which values they accept, and the text that goes into the argv.

Nothing has to be filtered for a shell: a text becomes one element of an argv, and no shell interprets it. Rejected is
what the program itself could take for something other than a value: an option, a second line, a malformed host.
"""

from __future__ import annotations

import ipaddress
import math
import posixpath
import re
import unicodedata
from enum import StrEnum

from attrs import Factory, frozen

from candy_core import Json, Mismatch
from candy_kit_command import texts


class Kind(StrEnum):
    """The type of a parameter."""

    NUMBER = "number"
    INTEGER = "integer"
    ENUM = "enum"
    HOST = "host"
    PATH = "path"
    STRING = "string"
    FLAG = "flag"


class ArgumentRejected(Exception):
    """A parameter does not accept a value; the sentence of ``msgid`` and ``values`` never contains that value."""

    def __init__(self, msgid: str, **values: object) -> None:
        self.msgid = msgid
        self.values = values
        super().__init__(msgid.format_map(values))


@frozen(kw_only=True)
class Parameter:
    """One parameter of a template, as a template file describes it.

    An argument that is not given has the value ``default``. Without a default it is required, unless it is
    ``optional``: then the element of the argv that uses it is left out. A ``flag`` is false by default; when it is true
    its ``argument`` is passed to the program.

    ``min`` and ``max`` bound numbers; ``min`` is 0 by default, so that no number starts with ``-`` by accident.
    ``values`` are those of an ``enum``. A ``path`` is ``root`` or below it. A ``string`` has at most ``max_length``
    characters, matches ``pattern`` as a whole, and may start with ``-`` only with ``leading_dash``.
    ``secret`` values are masked in results.
    """

    kind: Kind
    description: str = ""
    default: Json = None
    optional: bool = False
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = Factory(tuple)
    root: str = "/"
    max_length: int = 256
    pattern: str | None = None
    leading_dash: bool = False
    argument: str | None = None
    secret: bool = False

    def __attrs_post_init__(self) -> None:
        if (self.kind is Kind.ENUM) != bool(self.values):
            raise Mismatch("expected values for an enum, and for no other kind")
        if (self.kind is Kind.FLAG) != (self.argument is not None):
            raise Mismatch("expected argument for a flag, and for no other kind")
        if not all(value.isascii() and value.isprintable() and value for value in self.values):
            raise Mismatch("expected values of printable ASCII characters")
        if self.argument is not None and not (self.argument and self.argument.isprintable()):
            raise Mismatch("expected an argument of printable characters")
        if self.root != posixpath.normpath(self.root) or not self.root.startswith("/") or self.root.startswith("//"):
            raise Mismatch("expected an absolute root without .. and without a trailing slash")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error:
                raise Mismatch("expected a regular expression for pattern") from None
        if self.default is not None:
            try:
                self.text_of(self.default)
            except ArgumentRejected as error:
                raise Mismatch(f"default: {error}") from None

    @property
    def required(self) -> bool:
        """Whether an item must give it."""
        return self.default is None and not self.optional and self.kind is not Kind.FLAG

    def text_of(self, value: Json) -> str | None:
        """The text for the argv, ``None`` for a flag that is off. Raises :class:`ArgumentRejected`."""
        match self.kind:
            case Kind.NUMBER:
                return self._bounded(_number(value))
            case Kind.INTEGER:
                return self._bounded(_integer(value))
            case Kind.FLAG:
                return self.argument if _flag(value) else None
        text = _text(value)
        match self.kind:
            case Kind.ENUM:
                if text not in self.values:
                    raise ArgumentRejected(texts.ONE_OF, values=", ".join(self.values))
            case Kind.HOST:
                _check_host(text)
            case Kind.PATH:
                self._check_path(text)
            case _:
                self._check_string(text)
        return text

    def _bounded(self, number: float) -> str:
        low = 0.0 if self.min is None else self.min
        if number < low:
            raise ArgumentRejected(texts.AT_LEAST, bound=f"{low:g}")
        if self.max is not None and number > self.max:
            raise ArgumentRejected(texts.AT_MOST, bound=f"{self.max:g}")
        return str(number) if isinstance(number, int) else _decimal(number)

    def _check_path(self, text: str) -> None:
        _check_printable(text)
        if len(text) > 4096 or not text.startswith("/") or text.startswith("//") or posixpath.normpath(text) != text:
            raise ArgumentRejected(texts.A_PATH)
        if self.root != "/" and text != self.root and not text.startswith(f"{self.root}/"):
            raise ArgumentRejected(texts.BELOW, root=self.root)

    def _check_string(self, text: str) -> None:
        if not text:
            raise ArgumentRejected(texts.NOT_EMPTY)
        if len(text) > self.max_length:
            raise ArgumentRejected(texts.AT_MOST_CHARACTERS, bound=self.max_length)
        _check_printable(text)
        if text.startswith("-") and not self.leading_dash:
            raise ArgumentRejected(texts.NO_DASH)
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise ArgumentRejected(texts.PATTERN, pattern=self.pattern)


_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _integer(value: Json) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**18:
        raise ArgumentRejected(texts.AN_INTEGER)
    return value


def _number(value: Json) -> float:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ArgumentRejected(texts.A_NUMBER)
    if isinstance(value, int) and abs(value) >= 10**18:
        raise ArgumentRejected(texts.A_NUMBER)
    return value


def _decimal(number: float) -> str:
    """Without an exponent, which not every program understands."""
    text = f"{number + 0.0:.12f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _flag(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise ArgumentRejected(texts.A_FLAG)


def _text(value: Json) -> str:
    """Callers may send a text of digits as a JSON number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ArgumentRejected(texts.A_STRING)
    return value


def _check_printable(text: str) -> None:
    """Reject control characters, line endings, invisible and reordering characters, and lone surrogates."""
    if text.isascii() and text.isprintable():
        return
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            raise ArgumentRejected(texts.PRINTABLE)


def _check_host(text: str) -> None:
    if not text.isascii() or len(text) > 254:
        raise ArgumentRejected(texts.A_HOST)
    if ":" in text:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            raise ArgumentRejected(texts.A_HOST) from None
        if address.scope_id is not None:
            raise ArgumentRejected(texts.A_HOST)
        return
    labels = text.removesuffix(".").split(".")
    if len(text.removesuffix(".")) > 253 or not all(_NAME.fullmatch(label) for label in labels):
        raise ArgumentRejected(texts.A_HOST)
