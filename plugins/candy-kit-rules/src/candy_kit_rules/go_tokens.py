"""The tokens of a Go template (``text/template``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from attrs import frozen


class TemplateError(Exception):
    """A template that Go would not parse: why not, and the line (from 1)."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Kind(Enum):
    """Kinds of tokens, as Go's lexer distinguishes them."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    KEYWORD = auto()
    IDENTIFIER = auto()
    VARIABLE = auto()
    FIELD = auto()
    DOT = auto()
    NIL = auto()
    BOOL = auto()
    NUMBER = auto()
    CHARACTER = auto()
    STRING = auto()
    OPEN = auto()
    CLOSE = auto()
    PIPE = auto()
    ASSIGN = auto()
    DECLARE = auto()
    COMMA = auto()
    OTHER = auto()
    END = auto()


@frozen
class Token:
    """A token, as it is written, and the line (from 1) where it begins."""

    kind: Kind
    text: str
    line: int

    def __str__(self) -> str:
        if self.kind is Kind.END:
            return "the end of the template"
        return f'"{self.text if len(self.text) <= 20 else self.text[:20] + "…"}"'


KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"})
_SPACES = " \t\r\n"
_TERMINATORS = frozenset(" \t\r\n.,|:)(")
_COMMENT_OPEN = re.compile(r"\{\{(?:-[ \t\r\n])?/\*")
_COMMENT_CLOSE = re.compile(r"(?:[ \t\r\n]-)?\}\}")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]+)?|0[oO][0-7_]+|0[bB][01_]+"
    r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)i?"
)
_ESCAPE = r"\\(?:[abfnrtv\\%s]|[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_NO_OCTAL = re.compile(r"[+-]?0[0-7_]*[89][0-9_]*")
_STRING = re.compile(rf'"(?:[^"\\\n]|{_ESCAPE % chr(34)})*"')
_STRING_SHAPE = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHARACTER = re.compile(rf"'(?:[^'\\\n]|{_ESCAPE % chr(39)})'")
_RAW = re.compile(r"`[^`]*`")
_SINGLE = {"(": Kind.OPEN, ")": Kind.CLOSE, "|": Kind.PIPE, "=": Kind.ASSIGN, ",": Kind.COMMA}


def tokens(template: str) -> Iterator[Token]:
    """Every token of the template. Raises :class:`TemplateError` where Go's lexer would fail."""
    line = 1
    at = 0
    while True:
        opening = template.find("{{", at)
        text = template[at:] if opening < 0 else template[at:opening]
        if text:
            yield Token(Kind.TEXT, text, line)
        line += text.count("\n")
        if opening < 0:
            yield Token(Kind.END, "", line)
            return
        if comment := _COMMENT_OPEN.match(template, opening):
            at = _after_comment(template, comment.end(), line)
        else:
            action = _Action(template, opening, line)
            yield from action.tokens()
            at = action.at
        line += template.count("\n", opening, at)


def _after_comment(template: str, start: int, line: int) -> int:
    end = template.find("*/", start)
    if end < 0:
        raise TemplateError("unclosed comment", line)
    close = _COMMENT_CLOSE.match(template, end + 2)
    if close is None:
        raise TemplateError("comment ends before closing delimiter", line)
    return close.end()


class _Action:
    """One ``{{ … }}``; ``at`` is the position after it once :meth:`tokens` has ended."""

    def __init__(self, template: str, start: int, line: int) -> None:
        self._template = template
        self._line = line
        self._depth = 0
        trimmed = template[start + 2 : start + 3] == "-" and template[start + 3 : start + 4] in tuple(_SPACES)
        self.at = start + (3 if trimmed else 2)

    def tokens(self) -> Iterator[Token]:
        """The tokens up to the closing delimiter, including both delimiters."""
        yield Token(Kind.LEFT, "{{", self._line)
        while True:
            if right := self._right():
                if self._depth:
                    raise TemplateError("unclosed left paren", self._line)
                self.at = right
                yield Token(Kind.RIGHT, "}}", self._line)
                return
            token = self._token_here()
            self.at += len(token.text)
            self._line += token.text.count("\n")
            yield token

    def _right(self) -> int | None:
        """The position after the closing delimiter, if it is here."""
        if self._template.startswith("}}", self.at):
            return self.at + 2
        if self._template[self.at : self.at + 1] in tuple(_SPACES) and self._template.startswith("-}}", self.at + 1):
            return self.at + 4
        return None

    def _token_here(self) -> Token:
        template, at = self._template, self.at
        letter = template[at : at + 1]
        if not letter:
            raise TemplateError("unclosed action", self._line)
        if letter in _SPACES:
            return self._token(Kind.SPACE, self._spaces())
        if letter in _SINGLE:
            self._depth += {"(": 1, ")": -1}.get(letter, 0)
            if self._depth < 0:
                raise TemplateError("unexpected right paren", self._line)
            return self._token(_SINGLE[letter], letter)
        if letter == ":":
            if template[at : at + 2] != ":=":
                raise TemplateError("expected :=", self._line)
            return self._token(Kind.DECLARE, ":=")
        if letter in "\"'`":
            return self._quoted(letter)
        if letter in "+-" or _is_digit(letter) or (letter == "." and _is_digit(template[at + 1 : at + 2])):
            return self._number()
        if letter in ".$":
            return self._field_or_variable(letter)
        if _is_name(letter):
            return self._name()
        if letter.isascii() and letter.isprintable():
            return self._token(Kind.OTHER, letter)
        raise TemplateError(f"unrecognized character in action: U+{ord(letter):04X}", self._line)

    def _spaces(self) -> str:
        end = self.at
        # A space that belongs to the closing delimiter " -}}" is left to it.
        while self._template[end : end + 1] in tuple(_SPACES) and not self._template.startswith("-}}", end + 1):
            end += 1
        return self._template[self.at : end]

    def _quoted(self, quote: str) -> Token:
        template, at = self._template, self.at
        if quote == "`":
            if not (match := _RAW.match(template, at)):
                raise TemplateError("unterminated raw quoted string", self._line)
            return self._token(Kind.STRING, match[0])
        if quote == '"':
            if match := _STRING.match(template, at):
                return self._token(Kind.STRING, match[0])
            whole = _STRING_SHAPE.match(template, at)
            raise TemplateError("invalid escape in a string" if whole else "unterminated quoted string", self._line)
        if match := _CHARACTER.match(template, at):
            return self._token(Kind.CHARACTER, match[0])
        raise TemplateError("a character constant that is not one character", self._line)

    def _number(self) -> Token:
        match = _NUMBER.match(self._template, self.at)
        if match is None or self._template[match.end() : match.end() + 1].isalnum() or match[0].endswith("_"):
            raise TemplateError("bad number syntax", self._line)
        if _NO_OCTAL.fullmatch(match[0]):
            raise TemplateError("bad number syntax: what starts with 0 is octal", self._line)
        return self._token(Kind.NUMBER, match[0])

    def _field_or_variable(self, first: str) -> Token:
        end = self._name_end(self.at + 1)
        text = self._template[self.at : end]
        self._check_terminated(end)
        if first == "$":
            return self._token(Kind.VARIABLE, text)
        return self._token(Kind.DOT if text == "." else Kind.FIELD, text)

    def _name(self) -> Token:
        end = self._name_end(self.at)
        text = self._template[self.at : end]
        self._check_terminated(end)
        if text in KEYWORDS:
            return self._token(Kind.KEYWORD, text)
        kinds = {"true": Kind.BOOL, "false": Kind.BOOL, "nil": Kind.NIL}
        return self._token(kinds.get(text, Kind.IDENTIFIER), text)

    def _name_end(self, start: int) -> int:
        end = start
        while _is_name(self._template[end : end + 1]):
            end += 1
        return end

    def _check_terminated(self, end: int) -> None:
        """A name ends at a space, a separator or the closing delimiter; ``$x=1`` and ``a"b"`` do not parse."""
        letter = self._template[end : end + 1]
        if letter and letter not in _TERMINATORS and not self._template.startswith("}}", end):
            raise TemplateError(f'bad character "{letter}" after a name', self._line)

    def _token(self, kind: Kind, text: str) -> Token:
        return Token(kind, text, self._line)


def _is_digit(letter: str) -> bool:
    return "0" <= letter <= "9"


def _is_name(letter: str) -> bool:
    return bool(letter) and (letter == "_" or letter.isalnum())
