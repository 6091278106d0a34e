"""The check of a rule before it is written: a rule backend's ``validate`` (contract section 5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import yaml
from attrs import frozen

from candy_core import Json, PluginContext, Problem, Rule, dumps, loads
from candy_kit_rules.dialect import RuleDialect
from candy_kit_rules.opinion import Opinion, RuleDatasource, open_opinion
from candy_kit_rules.questions import Question
from candy_kit_rules.rule_file import Expression, expressions_of, problems_of

MAX_BYTES = 512 * 1024
"""Of a rule file as the operators write it into a ConfigMap: what is larger they drop without a word to its author."""

ASIDE = 32 * 1024
"""Bytes of a rule file from which on it is checked outside the event loop."""

_INDEX = re.compile(r"\[([0-9]{1,9})\]")


@frozen
class RuleChecker:
    """Checks rules of one dialect. An ``opinion``, where there is one, has the last word on expressions."""

    dialect: RuleDialect
    opinion: Opinion | None = None

    async def __call__(self, rule: Rule) -> Sequence[Problem]:
        """Everything wrong with the rule, in the order of its rules."""
        size = len(dumps(list(rule.groups)))
        if size > 2 * MAX_BYTES:
            return [_too_large(size)]
        if size > ASIDE:
            return await self._checked(await asyncio.to_thread(self._look, rule.groups, size), size)
        return await self._checked(self._look(rule.groups, size), size)

    def _look(self, groups: Sequence[Mapping[str, Json]], size: int) -> tuple[list[Problem], list[Expression]]:
        found = [*_size_problems(groups, size), *problems_of(groups, self.dialect)]
        return found, list(expressions_of(groups, self.dialect))

    async def _checked(self, looked: tuple[list[Problem], list[Expression]], size: int) -> Sequence[Problem]:
        found, expressions = looked
        texts = list(dict.fromkeys(expression.text for expression in expressions))
        told = await self.opinion.of(texts) if self.opinion is not None else {}
        if size > ASIDE:
            wrong = await asyncio.to_thread(self._wrong, texts, told)
        else:
            wrong = self._wrong(texts, told)
        found += [expression.problem(wrong[expression.text]) for expression in expressions if expression.text in wrong]
        return sorted(found, key=_place)

    def _wrong(self, texts: Iterable[str], told: Mapping[str, str | None]) -> dict[str, str]:
        """What is wrong with each expression that is: in the server's words or, where it has none, the parser's."""
        wrong = {}
        for text in texts:
            if (words := told.get(text)) is not None:
                wrong[text] = f"the server refuses the expression: {words}"
            elif self.dialect.expression and (found := self.dialect.expression(text, text in told)):
                wrong[text] = found
        return wrong


@asynccontextmanager
async def open_checker(
    context: PluginContext, dialect: RuleDialect, datasource: RuleDatasource | None, question: Question
) -> AsyncIterator[RuleChecker]:
    """A checker, which asks ``datasource``, where there is one, by ``question``. Connects to nothing yet."""
    async with open_opinion(context, datasource, question) as opinion:
        yield RuleChecker(dialect, opinion)


def _size_problems(groups: Sequence[Mapping[str, Json]], size: int) -> Iterator[Problem]:
    if size < MAX_BYTES // 4:  # indented YAML is not four times as large
        return
    plain = loads(dumps(list(groups)))  # the fields of a class are texts of a class of their own, which YAML knows not
    document = yaml.dump({"groups": plain}, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
    if (written := len(document.encode())) > MAX_BYTES:
        yield _too_large(written)


def _too_large(size: int) -> Problem:
    return Problem("$.groups", f"expected a rule file of at most {MAX_BYTES} bytes, and this one has {size}")


def _place(problem: Problem) -> tuple[int, ...]:
    """Group and rule of a problem; what is said of a whole comes before what is said of its parts."""
    return tuple(int(found) for found in _INDEX.findall(problem.path)[:2])
