"""The check of a rule before it is written: a rule backend's ``validate`` (contract section 5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import yaml
from attrs import frozen

from candy_core import Json, PluginContext, Problem, Rule, dumps, loads
from candy_kit_rules.dialect import RuleDialect
from candy_kit_rules.expression_checks import ExpressionCheck
from candy_kit_rules.rule_file import Expression, expressions_of, problems_of
from candy_kit_rules.server_check import RuleDatasource, ServerCheck, open_server_check

MAX_BYTES = 512 * 1024
"""Of a rule file as the operators write it into a ConfigMap: they drop a larger one, and its author is not informed."""

THREAD_BYTES = 32 * 1024
"""Bytes of a rule file from which it is checked in a thread, so as not to block the event loop."""

_INDEX = re.compile(r"\[([0-9]{1,9})\]")


@frozen
class RuleChecker:
    """Checks rules of one dialect. The verdict of ``server``, if there is one, overrides the parser's."""

    dialect: RuleDialect
    server: ServerCheck | None = None

    async def __call__(self, rule: Rule) -> Sequence[Problem]:
        """Everything wrong with the rule, in the order of its rules."""
        size = len(dumps(list(rule.groups)))
        if size > 2 * MAX_BYTES:
            return [_too_large(size)]
        in_thread = size > THREAD_BYTES
        scan = partial(self._scan, rule.groups, size)
        problems, expressions = await asyncio.to_thread(scan) if in_thread else scan()
        texts = list(dict.fromkeys(expression.text for expression in expressions))
        verdicts = await self.server.verdicts(texts) if self.server is not None else {}
        find_errors = partial(self._errors, texts, verdicts)
        errors = await asyncio.to_thread(find_errors) if in_thread else find_errors()
        problems += [
            expression.problem(errors[expression.text]) for expression in expressions if expression.text in errors
        ]
        return sorted(problems, key=_position)

    def _scan(self, groups: Sequence[Mapping[str, Json]], size: int) -> tuple[list[Problem], list[Expression]]:
        problems = [*_size_problems(groups, size), *problems_of(groups, self.dialect)]
        return problems, list(expressions_of(groups, self.dialect))

    def _errors(self, texts: Iterable[str], verdicts: Mapping[str, str | None]) -> dict[str, str]:
        """The error of each wrong expression: the server's, else the parser's."""
        errors = {}
        for text in texts:
            if (verdict := verdicts.get(text)) is not None:
                errors[text] = f"the server refuses the expression: {verdict}"
            elif self.dialect.expression and (error := self.dialect.expression(text, text in verdicts)):
                errors[text] = error
        return errors


@asynccontextmanager
async def open_checker(
    context: PluginContext, dialect: RuleDialect, datasource: RuleDatasource | None, check: ExpressionCheck
) -> AsyncIterator[RuleChecker]:
    """A checker that lets ``datasource``, if there is one, check expressions by ``check``. Connects to nothing yet."""
    async with open_server_check(context, datasource, check) as server:
        yield RuleChecker(dialect, server)


def _size_problems(groups: Sequence[Mapping[str, Json]], size: int) -> Iterator[Problem]:
    if size < MAX_BYTES // 4:  # indented YAML is not four times as large
        return
    plain = loads(dumps(list(groups)))  # without subclasses of str, which YAML cannot write
    document = yaml.dump({"groups": plain}, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
    if (written := len(document.encode())) > MAX_BYTES:
        yield _too_large(written)


def _too_large(size: int) -> Problem:
    return Problem("$.groups", f"expected a rule file of at most {MAX_BYTES} bytes, and this one has {size}")


def _position(problem: Problem) -> tuple[int, ...]:
    """The indices of a problem's group and rule; a group's own problems come before those of its rules."""
    return tuple(int(found) for found in _INDEX.findall(problem.path)[:2])
