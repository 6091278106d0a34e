"""Backends with one fault each, at least one for every test of the suite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from candy_core import Absent, Anything, BackendUnavailable, Expect, NotFound, Problem, Rule, RulePage, RuleRef, Version
from candy_core.testing.rule_backend import Subject
from tests.testing.rule_backend.folder import FolderBackend, object_name
from tests.testing.rule_backend.test_folder import folder_subject


@frozen
class Faulty:
    """``make`` returns a subject whose backend fails ``test`` with a message that matches ``says``."""

    test: str
    says: str
    make: Callable[[Path], Subject] = field(repr=False)


FAULTY: list[Faulty] = []


def with_backend(subject: Subject, kind: type[FolderBackend]) -> Subject:
    """The subject with another backend."""

    @asynccontextmanager
    async def open_faulty(context: Any, settings: Any) -> Any:
        backend = kind(settings.path or Path("/nonexistent"))
        backend.context, backend.settings = context, settings  # type: ignore[attr-defined]  # some leak them
        yield backend

    return evolve(subject, spec=evolve(subject.spec, open=open_faulty))


def fails(test: str, says: str, **changes: Any) -> Callable[[type[FolderBackend]], type[FolderBackend]]:
    """Mark a class that fails a test of the suite."""

    def mark(kind: type[FolderBackend]) -> type[FolderBackend]:
        def make(path: Path) -> Subject:
            return evolve(with_backend(folder_subject(path), kind), **changes)

        FAULTY.append(Faulty(f"test_{test}", says, make))
        return kind

    return mark


@fails("a_rule_reads_back_as_it_was_written", "without its annotations")
class Forgetful(FolderBackend):
    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        return await super().apply(evolve(rule, annotations={}), expect, dry_run=dry_run)


@fails("a_rule_reads_back_as_it_was_written", "in UTC")
class Naive(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        return evolve(await super().get(ref), created_at=datetime(2026, 1, 1))  # the fault


@fails("a_rule_reads_back_as_it_was_written", "different versions")
class TwoVersions(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        stored = await super().get(ref)
        return evolve(stored, version=stored.version + "x")


@fails("a_missing_rule_is_not_found", "KeyError")
class Raw(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        try:
            return await super().get(ref)
        except NotFound:
            raise KeyError(ref.name) from None


@fails("every_name_can_be_stored_and_read_back", "came back as")
class Lower(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        stored = await super().get(ref)
        return evolve(stored, rule=evolve(stored.rule, ref=evolve(ref, name=ref.name.lower())))


class Overwriting(FolderBackend):
    """As server-side apply does without a resourceVersion."""

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        path = self._path(rule.ref.namespace, object_name(rule.ref.name))
        await asyncio.sleep(0)
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return await super().apply(rule, Anything(), dry_run=dry_run)


fails("two_names_never_share_an_object", "the object is gone", colliding_names=("Suite A", "suite a"))(Overwriting)
fails("an_existing_rule_cannot_be_created_again", "expected Exists")(Overwriting)
fails("of_racing_creates_one_succeeds", "expected one, and Exists")(Overwriting)
fails("of_racing_changes_of_one_version_one_succeeds", "expected one, and Stale")(Overwriting)
fails("a_change_on_an_old_version_is_stale", "expected Stale")(Overwriting)
fails("a_missing_rule_cannot_be_changed", "expected NotFound")(Overwriting)
fails("a_field_of_another_owner_is_not_taken", "expected FieldConflict")(Overwriting)
fails("an_unmanaged_object_is_not_changed", "expected NotManaged")(Overwriting)


@fails("an_unmanaged_object_is_read_as_such", "as managed")
class Grasping(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        return evolve(await super().get(ref), managed=True)


@fails("a_list_has_every_rule_once_whatever_the_page_size", "pages of 1")
class OffByOne(FolderBackend):
    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        page = await super().list(namespace, limit=limit, cursor=cursor)
        return page if cursor is None else evolve(page, rules=page.rules[1:])


@fails("a_list_has_every_rule_once_whatever_the_page_size", "never ends")
class Endless(FolderBackend):
    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        return evolve(await super().list(namespace, limit=limit, cursor=None), next_cursor="again")


@fails("a_list_has_only_its_namespace", "rules of other namespaces")
class Everywhere(FolderBackend):
    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        return await super().list(None, limit=limit, cursor=cursor)


@fails("an_invalid_cursor_is_rejected", "it returned RulePage")
class Trusting(FolderBackend):
    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        return await super().list(namespace, limit=limit, cursor=None)


@fails("a_change_by_others_is_seen", "read the object each time")
class Remembering(FolderBackend):
    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        self.last = await super().apply(rule, expect, dry_run=dry_run)
        return self.last

    async def get(self, ref: RuleRef) -> Any:
        return self.last


@fails("anything_creates_and_replaces", "There is no rule")
class Narrow(FolderBackend):
    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        return await super().apply(rule, Version("1") if isinstance(expect, Anything) else expect, dry_run=dry_run)


@fails("a_change_removes_what_it_does_not_name", "replace them, do not merge")
class Merging(FolderBackend):
    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        stored = await asyncio.to_thread(self._read, rule.ref.namespace, object_name(rule.ref.name))
        kept: Mapping[str, str] = stored.rule.annotations if stored is not None else {}
        return await super().apply(evolve(rule, annotations={**kept, **rule.annotations}), expect, dry_run=dry_run)


@fails("a_delete_returns_the_rule", "expected NotFound to be raised")
class Idle(FolderBackend):
    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> Any:
        return await super().delete(ref, expect, dry_run=True)


@fails("a_delete_of_an_old_version_is_stale", "expected Stale")
@fails("a_dry_run_raises_the_same_errors", "expected Stale")
class Careless(FolderBackend):
    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> Any:
        return await super().delete(ref, Anything(), dry_run=dry_run)


@fails("of_racing_deletes_one_succeeds", "succeeded; expected one")
class Generous(FolderBackend):
    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> Any:
        stored = await self.get(ref)
        self._path(ref.namespace, object_name(ref.name)).unlink(missing_ok=True)
        return stored


@fails("a_dry_run_writes_nothing_and_returns_the_result", "after a dry run")
class Wet(FolderBackend):
    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        return await super().apply(rule, expect, dry_run=False)


@fails("the_core_accepts_the_announcement", "without the method validate")
class Half(FolderBackend):
    validate = None  # type: ignore[assignment]  # the fault


@fails("it_opens_without_settings_and_names_what_is_missing", "FileNotFoundError")
class Blunt(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        if not self._root.is_dir():
            raise FileNotFoundError(self._root)
        return await super().get(ref)


@fails("a_valid_rule_has_no_problems_and_is_not_written", "finds problems")
class Pedant(FolderBackend):
    async def validate(self, rule: Rule) -> Sequence[Problem]:
        return [Problem("$.groups[0].name", "is not beautiful")]


@fails("every_problem_is_found_at_its_path", "finds no problem at")
class Blind(FolderBackend):
    async def validate(self, rule: Rule) -> Sequence[Problem]:
        return []


@fails("a_canceled_call_leaves_nothing_of_it_running", "still run")
class Littering(FolderBackend):
    async def get(self, ref: RuleRef) -> Any:
        self.left = asyncio.create_task(asyncio.sleep(5))
        return await super().get(ref)


@fails("a_canceled_call_leaves_nothing_of_it_running", "let the cancellation through")
class Stubborn(FolderBackend):
    async def delete(self, ref: RuleRef, expect: Expect, *, dry_run: bool) -> Any:
        try:
            return await super().delete(ref, expect, dry_run=dry_run)
        except asyncio.CancelledError:
            raise ValueError("not canceled") from None


@fails("an_unreachable_server_is_reported", "it returned RulePage")
class Hopeful(FolderBackend):
    async def list(self, namespace: str | None, *, limit: int, cursor: str | None) -> RulePage:
        try:
            return await super().list(namespace, limit=limit, cursor=cursor)
        except BackendUnavailable:
            return RulePage(rules=())


@fails("no_secret_is_logged_or_returned", "appears in the log")
class Talkative(FolderBackend):
    context: Any
    settings: Any

    async def get(self, ref: RuleRef) -> Any:
        self.context.logger.debug("reading", password=self.settings.password.reveal())
        return await super().get(ref)


@fails("no_secret_is_logged_or_returned", "appears in an error")
class Honest(FolderBackend):
    settings: Any

    async def apply(self, rule: Rule, expect: Expect, *, dry_run: bool) -> Any:
        if isinstance(expect, Absent):
            raise BackendUnavailable(f"the password {self.settings.password.reveal()} was rejected")
        return await super().apply(rule, expect, dry_run=dry_run)
