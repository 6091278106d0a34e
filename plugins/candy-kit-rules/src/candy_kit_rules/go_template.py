"""Whether a Go template (``text/template``) parses: the grammar of actions, pipelines and control structures.

Errors of its execution (a field that does not exist, a wrong argument) are not found: Go too finds them only then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from candy_kit_rules.go_tokens import Kind, TemplateError, Token, tokens

GO_FUNCTIONS = frozenset(
    {
        "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not",
        "or", "print", "printf", "println", "slice", "urlquery",
    }
)  # fmt: skip
"""The functions that every Go template can call."""

MAX_NESTING = 100
"""Nested parentheses and control structures; Go's own bound is far beyond any real template."""

_OPERANDS = frozenset(
    {
        Kind.BOOL, Kind.CHARACTER, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NIL, Kind.NUMBER, Kind.OPEN,
        Kind.STRING, Kind.VARIABLE,
    }
)  # fmt: skip
_LITERALS = frozenset({Kind.BOOL, Kind.CHARACTER, Kind.DOT, Kind.NIL, Kind.NUMBER, Kind.STRING})
"""Operands that no ``.field`` may follow, and that no value can be piped into."""


def template_problem(template: str, functions: Collection[str], variables: Collection[str]) -> str | None:
    """What is wrong with a template, or ``None``.

    ``functions`` are those that may be called besides Go's own, ``variables`` those that are predefined, with their
    dollar sign.
    """
    if "{{" not in template:
        return None
    try:
        _Parser(template, functions, variables).parse()
    except TemplateError as error:
        where = f" (line {error.line})" if "\n" in template.strip("\n") else ""
        return f"the template does not parse: {error.message}{where}"
    return None


class _Parser:
    """One pass over the tokens, with a lookahead of up to three."""

    def __init__(self, template: str, functions: Collection[str], variables: Collection[str]) -> None:
        self._tokens: Iterator[Token] = tokens(template)
        self._ahead: list[Token] = []
        self._functions = functions
        self._variables = ["$", *variables]
        self._loops = 0
        self._depth = 0
        self._at = Token(Kind.TEXT, "", 1)

    def parse(self) -> None:
        """Raises :class:`TemplateError`."""
        while (token := self._peek()).kind is not Kind.END:
            if token.kind is Kind.TEXT:
                self._next()
                continue
            self._next()
            token = self._next_nonspace()
            if token.kind is Kind.KEYWORD and token.text == "define":
                self._define()
            elif ended := self._action(token):
                self._fail(f"unexpected {ended}")

    # Tokens

    def _peek(self, distance: int = 1) -> Token:
        while len(self._ahead) < distance:
            self._ahead.append(next(self._tokens))
        return self._ahead[distance - 1]

    def _next(self) -> Token:
        self._at = self._peek()
        self._ahead.pop(0)
        return self._at

    def _next_nonspace(self) -> Token:
        while (token := self._next()).kind is Kind.SPACE:
            pass
        return token

    def _peek_nonspace(self) -> Token:
        while self._peek().kind is Kind.SPACE:
            self._next()
        return self._peek()

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._next_nonspace()
        if token.kind is not kind:
            self._fail(f"unexpected {token} in {context}")
        return token

    def _fail(self, message: str) -> None:
        raise TemplateError(message, self._at.line)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._fail(f"more than {MAX_NESTING} levels within each other")
        yield
        self._depth -= 1

    # Structures

    def _list(self, context: str) -> str:
        """Everything up to ``end`` or ``else``, which is consumed and returned; the delimiter after ``else`` is not."""
        while (token := self._next()).kind is not Kind.END:
            if token.kind is Kind.TEXT:
                continue
            if ended := self._action(self._next_nonspace()):
                return ended
        self._fail(f"{context} has no end")
        raise AssertionError

    def _action(self, first: Token) -> str | None:
        """One action from its first token, which was read; returns ``"{{end}}"`` or ``"{{else}}"`` for one of these."""
        keyword = first.text if first.kind is Kind.KEYWORD else ""
        match keyword:
            case "end":
                self._expect(Kind.RIGHT, "end")
                return "{{end}}"
            case "else":
                return "{{else}}"
            case "if" | "with" | "range":
                self._control(keyword)
            case "block":
                self._expect(Kind.STRING, "block clause")
                self._pipeline("block clause", Kind.RIGHT)
                self._body("block clause")
            case "template":
                self._expect(Kind.STRING, "template clause")
                if self._peek_nonspace().kind is Kind.RIGHT:
                    self._next()
                else:
                    self._pipeline("template clause", Kind.RIGHT)
            case "break" | "continue":
                self._expect(Kind.RIGHT, f"{{{{{keyword}}}}}")
                if not self._loops:
                    self._fail(f"{{{{{keyword}}}}} outside {{{{range}}}}")
            case _:
                self._ahead.insert(0, first)
                self._pipeline("command", Kind.RIGHT)
        return None

    def _define(self) -> None:
        self._expect(Kind.STRING, "define clause")
        self._expect(Kind.RIGHT, "define clause")
        self._body("define clause")

    def _body(self, context: str) -> None:
        """A separate template, whose only variable is ``$``."""
        variables, self._variables = self._variables, ["$"]
        loops, self._loops = self._loops, 0
        with self._deeper():
            if self._list(context) != "{{end}}":
                self._fail(f"unexpected {{{{else}}}} in {context}")
        self._variables, self._loops = variables, loops

    def _control(self, keyword: str) -> None:
        known = len(self._variables)
        with self._deeper():
            self._pipeline(keyword, Kind.RIGHT)
            self._loops += keyword == "range"
            ended = self._list(f"{{{{{keyword}}}}}")
            self._loops -= keyword == "range"
            if ended == "{{else}}":
                self._else(keyword)
        del self._variables[known:]

    def _else(self, keyword: str) -> None:
        follows = self._peek_nonspace()
        if keyword != "range" and follows.kind is Kind.KEYWORD and follows.text == keyword:
            self._next()
            self._control(keyword)  # {{else if}}: both share one {{end}}
            return
        self._expect(Kind.RIGHT, "else")
        if self._list(f"{{{{{keyword}}}}}") != "{{end}}":
            self._fail("expected {{end}}, found {{else}}")

    # Pipelines

    def _pipeline(self, context: str, end: Kind) -> None:
        self._declarations(context)
        stages = 0
        while (token := self._peek_nonspace()).kind is not end:
            if token.kind not in _OPERANDS:
                self._next()
                self._fail(f"unexpected {token} in {context}")
            first = self._command()
            stages += 1
            if stages > 1 and first in _LITERALS:
                self._fail(f"non executable command in pipeline stage {stages}")
        self._next()
        if not stages:
            self._fail(f"missing value for {context}")

    def _declarations(self, context: str) -> None:
        """``$x := …``, ``$x = …``, and ``$i, $x := …`` of a range."""
        count = 0
        while self._peek_nonspace().kind is Kind.VARIABLE:
            sign = self._peek(2 if self._peek(2).kind is not Kind.SPACE else 3)
            if sign.kind not in (Kind.ASSIGN, Kind.DECLARE, Kind.COMMA):
                return
            self._variables.append(self._next_nonspace().text)
            self._next_nonspace()
            count += 1
            if sign.kind is not Kind.COMMA:
                return
            if context != "range" or count > 1:
                self._fail(f"too many declarations in {context}")
            if self._peek_nonspace().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
                self._fail("range can only initialize variables")

    def _command(self) -> Kind:
        """Operands separated by spaces, up to a pipe (consumed) or an end (not consumed); gives the first kind."""
        first: Kind | None = None
        while True:
            self._peek_nonspace()
            kind = self._operand()
            first = first or kind
            token = self._peek()
            if token.kind is Kind.SPACE:
                self._next()
                continue
            if token.kind is Kind.PIPE:
                self._next()
            elif token.kind not in (Kind.RIGHT, Kind.CLOSE):
                self._next()
                self._fail(f"unexpected {token} in operand")
            if first is None:
                self._fail("empty command")
                raise AssertionError
            return first

    def _operand(self) -> Kind | None:
        """A term and the fields after it; ``None`` if there is no term."""
        kind = self._peek().kind
        if kind not in _OPERANDS:
            return None
        token = self._next()
        if kind is Kind.IDENTIFIER and token.text not in self._functions and token.text not in GO_FUNCTIONS:
            self._fail(f'function "{token.text[:100]}" not defined')
        if kind is Kind.VARIABLE and token.text not in self._variables:
            self._fail(f'undefined variable "{token.text[:100]}"')
        if kind is Kind.OPEN:
            with self._deeper():
                self._pipeline("parenthesized pipeline", Kind.CLOSE)
        if self._peek().kind is Kind.FIELD and kind in _LITERALS:
            self._fail(f"unexpected . after term {token}")
        while self._peek().kind is Kind.FIELD:
            self._next()
        return kind
