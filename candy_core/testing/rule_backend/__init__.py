'''The contract suite of rule backends: subclass it, describe your backend, and it checks all that the port requires.

It checks the announcement, reading and listing, names, preconditions of writes, ownership of objects, dry runs, races,
validation, cancels, an unreachable server, and secrets. The message of a failed test ends with what to do. A complete
plugin, which keeps rules in memory, with its test::

    from contextlib import asynccontextmanager

    import pytest
    from attrs import evolve, frozen

    from candy_core import (
        Absent, Exists, Invalid, NotFound, NotManaged, Problem, Rule, RuleBackendSpec, RulePage, Stale, StoredRule,
        Version,
    )
    from candy_core.testing.rule_backend import BadRule, RuleBackendSuite, Subject


    @frozen(kw_only=True)
    class NotebookSettings:
        pass


    class Notebook:
        """Keeps each rule under its own name, so no two share an object. It never awaits, so calls do not overlap."""

        def __init__(self):
            self.pages = {}
            self.writes = 0

        async def list(self, namespace, *, limit, cursor):
            if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
                raise Invalid([Problem("$.cursor", "expected the next_cursor of an earlier page")])
            start = int(cursor or 0)
            found = [rule for ref, rule in self.pages.items() if namespace in (None, ref.namespace)]
            more = len(found) > start + limit
            return RulePage(rules=tuple(found[start : start + limit]), next_cursor=str(start + limit) if more else None)

        async def get(self, ref):
            if ref not in self.pages:
                raise NotFound(f"There is no rule {ref.name!r} in {ref.namespace}.")
            return self.pages[ref]

        async def validate(self, rule):
            return [
                Problem(f"$.groups[{number}].name", "is required")
                for number, group in enumerate(rule.groups)
                if not group.get("name")
            ]

        async def apply(self, rule, expect, *, dry_run):
            current = self.pages.get(rule.ref)
            if isinstance(expect, Absent) and current is not None:
                raise Exists(f"A rule {rule.ref.name!r} exists in {rule.ref.namespace}.")
            if current is not None or isinstance(expect, Version):
                await self.expected(rule.ref, expect)
            return self.put(rule, managed=True, dry_run=dry_run)

        async def delete(self, ref, expect, *, dry_run):
            current = await self.expected(ref, expect)
            if not dry_run:
                del self.pages[ref]
            return current

        async def expected(self, ref, expect):
            current = await self.get(ref)
            if not current.managed:
                raise NotManaged(f"The rule {ref.name!r} is not managed by the agent.")
            if isinstance(expect, Version) and expect.version != current.version:
                raise Stale(f"The rule {ref.name!r} has changed since it was read.")
            return current

        def put(self, rule, *, managed, dry_run=False):
            self.writes += 1
            stored = StoredRule(
                rule=rule, version=f"v{self.writes}", object_name=f"page-{rule.ref.name}", managed=managed
            )
            if not dry_run:
                self.pages[rule.ref] = stored
            return stored


    @asynccontextmanager
    async def open_notebook(context, settings):
        yield Notebook()


    class TestNotebook(RuleBackendSuite):
        @pytest.fixture
        def subject(self):
            notebook = Notebook()  # the test writes into it as well

            @asynccontextmanager
            async def open_this(context, settings):
                yield notebook

            async def foreign(ref, groups):
                notebook.put(Rule(ref=ref, groups=groups), managed=False)

            async def change(ref, groups):
                notebook.put(evolve(notebook.pages[ref].rule, groups=groups), managed=True)

            return Subject(
                plugin="notebook",
                spec=RuleBackendSpec(name="notebook", settings=NotebookSettings, open=open_this),
                foreign=foreign,
                change=change,
                bad=[BadRule(groups=({"rules": []},), path="$.groups[0].name")],
            )

:class:`Subject` explains every field. A test that needs a field that is not given is skipped and says what to give.
The suite needs ``candy-core[testing]`` and pytest-asyncio's ``asyncio_mode = "auto"``.
'''

import pytest

MODULES = ("base", "behavior", "reading", "writing")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in MODULES))

from candy_core.testing.rule_backend.base import Opened, opening  # noqa: E402  # rewritten first
from candy_core.testing.rule_backend.behavior import BehaviorSuite  # noqa: E402  # the same
from candy_core.testing.rule_backend.reading import ReadingSuite  # noqa: E402  # the same
from candy_core.testing.rule_backend.subject import BadRule, Subject, alert_groups  # noqa: E402  # the same
from candy_core.testing.rule_backend.writing import WritingSuite  # noqa: E402  # the same

__all__ = ["BadRule", "Opened", "RuleBackendSuite", "Subject", "alert_groups", "opening"]


class RuleBackendSuite(ReadingSuite, WritingSuite, BehaviorSuite):
    """Everything that a :class:`~candy_core.ports.rule_backend.RuleBackend` must do."""
