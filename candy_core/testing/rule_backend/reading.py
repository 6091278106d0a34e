"""Reading: single rules, names, lists and their pages."""

from __future__ import annotations

from datetime import timedelta

from candy_core.errors import CandyError, Exists, Invalid, NotFound
from candy_core.model.rule import RuleRef, StoredRule
from candy_core.ports.rule_backend import Absent, RuleBackend
from candy_core.testing.executor.call import fail
from candy_core.testing.rule_backend.base import Opened, SuiteBase


class ReadingSuite(SuiteBase):
    """What was written can be read, by the name that it was given."""

    async def test_a_rule_reads_back_as_it_was_written(self, opened: Opened) -> None:
        """The groups, the core's annotations, the original name; managed, with a version and aware times."""
        rule, told = await opened.made()
        stored = await opened.within(opened.backend.get(rule.ref))
        for what, each in (("apply", told), ("get", stored)):
            _is_whole(what, each)
            if each.rule.ref != rule.ref or each.rule.groups != rule.groups:
                fail(f"{what} gave another rule than was written: keep the original name, and the groups as they are.")
            lost = {name for name, value in rule.annotations.items() if each.rule.annotations.get(name) != value}
            if lost:
                fail(f"{what} gave the rule without its annotations {sorted(lost)}: the core needs them back verbatim.")
            if not each.managed:
                fail(f"{what} says that what the agent has just written is not managed.")
        if told.version != stored.version:
            fail("apply told another version than get does: the next change would be Stale.")

    async def test_what_is_not_there_is_not_found(self, opened: Opened) -> None:
        await opened.raises(NotFound, opened.backend.get(opened.rule().ref), "get of a rule that is not there")
        elsewhere = opened.rule(namespace=opened.subject.namespaces[1])
        await opened.made(name=elsewhere.ref.name)
        await opened.raises(NotFound, opened.backend.get(elsewhere.ref), "get of a rule of another namespace")

    async def test_every_name_can_be_kept_and_comes_back(self, opened: Opened) -> None:
        """Contract section 5: "`HighCPUUsage` is no legal object name … the original stands in an annotation"."""
        names = opened.subject.names
        for number, name in enumerate(names):
            try:
                await opened.made(number, name=name)
            except CandyError as error:
                fail(f"A rule named {name[:40]!r} cannot be made: {type(error).__name__}: {error}.")
        for number, name in enumerate(names):
            ref = opened.rule(name=name).ref
            stored = await opened.within(opened.backend.get(ref))
            if stored.rule.ref != ref or stored.rule.groups != opened.subject.groups(number):
                fail(f"The rule {name[:40]!r} came back as {stored.rule.ref.name[:40]!r}, or with another's groups.")
        listed = {stored.rule.ref.name for stored in await _all(opened.backend, opened.subject.namespaces[0])}
        if missing := set(names) - listed:
            fail(f"A list does not have these rules by their own names: {sorted(missing)}.")

    async def test_two_names_never_share_an_object(self, opened: Opened) -> None:
        """Contract section 5: "two names that meet in one object are a 409 ``exists``"."""
        first, second = opened.subject.meeting
        rule, stored = await opened.made(1, name=first)
        other = opened.rule(2, name=second)
        try:
            await opened.within(opened.backend.apply(other, Absent(), dry_run=False))
        except Exists:
            await opened.raises(NotFound, opened.backend.get(other.ref), "get of the name that found its object taken")
        else:
            opened.rule(name=first)
        await opened.is_still(stored, f"{second!r} was made beside {rule.ref.name!r}")

    async def test_somebody_elses_object_is_read_and_not_managed(self, opened: Opened) -> None:
        """Contract section 5: "What the agent does not manage it reads"."""
        rule = opened.rule()
        await opened.subject.foreign(rule.ref, rule.groups)
        stored = await opened.within(opened.backend.get(rule.ref))
        listed = [each for each in await _all(opened.backend, rule.ref.namespace) if each.rule.ref == rule.ref]
        for what, each in (("get", stored), *(("list", each) for each in listed)):
            _is_whole(what, each)
            if each.managed or each.rule.groups != rule.groups:
                fail(f"{what} gives somebody else's object as managed, or not as it is.")
        if len(listed) != 1:
            fail("list does not have somebody else's object, once, under the object's name.")

    async def test_a_list_has_every_rule_once_on_whatever_pages(self, opened: Opened) -> None:
        namespace = opened.subject.namespaces[0]
        made = {(await opened.made(number))[0].ref for number in range(5)}
        whole = [stored.rule.ref for stored in await _all(opened.backend, namespace)]
        if not made <= set(whole) or len(whole) != len(set(whole)):
            fail("A list does not have every rule of the namespace exactly once.")
        for limit in (1, 2, 500):
            paged = [stored.rule.ref for stored in await _all(opened.backend, namespace, limit=limit)]
            if [ref for ref in paged if ref in made] != [ref for ref in whole if ref in made]:
                fail(f"With pages of {limit} a list is another one: give the same order, and each rule once.")

    async def test_a_list_keeps_to_its_namespace(self, opened: Opened) -> None:
        here, there = opened.subject.namespaces
        first, _ = await opened.made(namespace=here)
        second, _ = await opened.made(namespace=there)
        for namespace, expected in ((here, {first.ref}), (there, {second.ref}), (None, {first.ref, second.ref})):
            found = {stored.rule.ref for stored in await _all(opened.backend, namespace)}
            if found & {first.ref, second.ref} != expected:
                fail(
                    f"list({namespace!r}) gives rules of other namespaces, or not all of its own; None is all of them."
                )

    async def test_a_cursor_that_is_none_is_refused(self, opened: Opened) -> None:
        for cursor in ("nonsense", "\x00", "é", "bm9uc2Vuc2U="):
            call = opened.backend.list(opened.subject.namespaces[0], limit=1, cursor=cursor)
            await opened.raises(Invalid, call, f"list with the cursor {cursor!r}")

    async def test_a_change_behind_its_back_is_seen(self, opened: Opened) -> None:
        """Contract section 5: drift is "managed objects whose spec differs"; so it has to be read anew each time."""
        rule, stored = await opened.made(1)
        await opened.subject.change(rule.ref, opened.subject.groups(2))
        now = await opened.within(opened.backend.get(rule.ref))
        if now.rule.groups != opened.subject.groups(2) or not now.managed:
            fail("get does not show what somebody else has changed: read the object each time.")
        if now.version == stored.version:
            fail("The version is the same after somebody else's change: no change could ever be Stale.")


async def _all(backend: RuleBackend, namespace: str | None, *, limit: int = 500) -> list[StoredRule]:
    found: list[StoredRule] = []
    cursor: str | None = None
    for _ in range(100_000):
        page = await backend.list(namespace, limit=limit, cursor=cursor)
        if len(page.rules) > limit:
            fail(f"A page of at most {limit} holds {len(page.rules)}.")
        found += page.rules
        if page.next_cursor is None:
            return found
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    return fail("A list never ends: give next_cursor=None on its last page.")


def _is_whole(what: str, stored: object) -> None:
    if not isinstance(stored, StoredRule):
        fail(f"{what} gave a {type(stored).__name__}; expected a StoredRule.")
    if not stored.version or not stored.object_name:
        fail(f"{what} gave no version, or no object_name.")
    for moment in (stored.created_at, stored.updated_at):
        if moment is not None and moment.utcoffset() != timedelta(0):
            fail(f"{what} gave a time that is not in UTC: use datetime with UTC, or None.")
    if not isinstance(stored.rule.ref, RuleRef) or not isinstance(stored.rule.groups, tuple):
        fail(f"{what} gave groups that are no tuple, or no RuleRef.")
