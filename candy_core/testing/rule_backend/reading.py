"""Reading: single rules, names, lists and their pages."""

from __future__ import annotations

from datetime import timedelta

from candy_core.errors import CandyError, Exists, Invalid, NotFound
from candy_core.model.rule import RuleRef, StoredRule
from candy_core.ports.rule_backend import Absent, RuleBackend
from candy_core.testing.executor.call import fail
from candy_core.testing.rule_backend.base import Opened, SuiteBase


class ReadingSuite(SuiteBase):
    """What was written can be read by its name."""

    async def test_a_rule_reads_back_as_it_was_written(self, opened: Opened) -> None:
        """With the groups, the core's annotations and the original name; managed, with a version and aware times."""
        rule, applied = await opened.create()
        stored = await opened.call(opened.backend.get(rule.ref))
        for what, each in (("apply", applied), ("get", stored)):
            _check_complete(what, each)
            if each.rule.ref != rule.ref or each.rule.groups != rule.groups:
                fail(f"{what} returned another rule than was written: keep the original name and the groups.")
            lost = {name for name, value in rule.annotations.items() if each.rule.annotations.get(name) != value}
            if lost:
                fail(f"{what} returned the rule without its annotations {sorted(lost)}, which the core needs verbatim.")
            if not each.managed:
                fail(f"{what} returned the agent's own rule as not managed.")
        if applied.version != stored.version:
            fail("apply and get return different versions: the next change would be Stale.")

    async def test_a_missing_rule_is_not_found(self, opened: Opened) -> None:
        await opened.raises(NotFound, opened.backend.get(opened.rule().ref), "get of a missing rule")
        elsewhere = opened.rule(namespace=opened.subject.namespaces[1])
        await opened.create(name=elsewhere.ref.name)
        await opened.raises(NotFound, opened.backend.get(elsewhere.ref), "get of a rule of another namespace")

    async def test_every_name_can_be_stored_and_read_back(self, opened: Opened) -> None:
        """Contract section 5: "`HighCPUUsage` is no legal object name … the original stands in an annotation"."""
        names = opened.subject.names
        for number, name in enumerate(names):
            try:
                await opened.create(number, name=name)
            except CandyError as error:
                fail(f"A rule named {name[:40]!r} cannot be created: {type(error).__name__}: {error}.")
        for number, name in enumerate(names):
            ref = opened.rule(name=name).ref
            stored = await opened.call(opened.backend.get(ref))
            if stored.rule.ref != ref or stored.rule.groups != opened.subject.groups(number):
                fail(f"The rule {name[:40]!r} came back as {stored.rule.ref.name[:40]!r}, or with other groups.")
        listed = {stored.rule.ref.name for stored in await _all(opened.backend, opened.subject.namespaces[0])}
        if missing := set(names) - listed:
            fail(f"A list lacks these rules under their own names: {sorted(missing)}.")

    async def test_two_names_never_share_an_object(self, opened: Opened) -> None:
        """Contract section 5: "two names that meet in one object are a 409 ``exists``"."""
        first, second = opened.subject.colliding_names
        rule, stored = await opened.create(1, name=first)
        other = opened.rule(2, name=second)
        try:
            await opened.call(opened.backend.apply(other, Absent(), dry_run=False))
        except Exists:
            await opened.raises(NotFound, opened.backend.get(other.ref), "get of the name whose object was taken")
        else:
            opened.rule(name=first)
        await opened.check_unchanged(stored, f"{second!r} was created beside {rule.ref.name!r}")

    async def test_an_unmanaged_object_is_read_as_such(self, opened: Opened) -> None:
        """Contract section 5: "What the agent does not manage it reads"."""
        rule = opened.rule()
        await opened.subject.foreign(rule.ref, rule.groups)
        stored = await opened.call(opened.backend.get(rule.ref))
        listed = [each for each in await _all(opened.backend, rule.ref.namespace) if each.rule.ref == rule.ref]
        for what, each in (("get", stored), *(("list", each) for each in listed)):
            _check_complete(what, each)
            if each.managed or each.rule.groups != rule.groups:
                fail(f"{what} returns an unmanaged object as managed, or with other groups.")
        if len(listed) != 1:
            fail("list does not have an unmanaged object exactly once, under the object's name.")

    async def test_a_list_has_every_rule_once_whatever_the_page_size(self, opened: Opened) -> None:
        namespace = opened.subject.namespaces[0]
        created = {(await opened.create(number))[0].ref for number in range(5)}
        whole = [stored.rule.ref for stored in await _all(opened.backend, namespace)]
        if not created <= set(whole) or len(whole) != len(set(whole)):
            fail("A list does not have every rule of the namespace exactly once.")
        for limit in (1, 2, 500):
            paged = [stored.rule.ref for stored in await _all(opened.backend, namespace, limit=limit)]
            if [ref for ref in paged if ref in created] != [ref for ref in whole if ref in created]:
                fail(f"With pages of {limit} a list differs: keep the order, and list each rule once.")

    async def test_a_list_has_only_its_namespace(self, opened: Opened) -> None:
        here, there = opened.subject.namespaces
        first, _ = await opened.create(namespace=here)
        second, _ = await opened.create(namespace=there)
        for namespace, expected in ((here, {first.ref}), (there, {second.ref}), (None, {first.ref, second.ref})):
            found = {stored.rule.ref for stored in await _all(opened.backend, namespace)}
            if found & {first.ref, second.ref} != expected:
                fail(
                    f"list({namespace!r}) has rules of other namespaces, or lacks some; None stands for all namespaces."
                )

    async def test_an_invalid_cursor_is_rejected(self, opened: Opened) -> None:
        for cursor in ("nonsense", "\x00", "é", "bm9uc2Vuc2U="):
            call = opened.backend.list(opened.subject.namespaces[0], limit=1, cursor=cursor)
            await opened.raises(Invalid, call, f"list with the cursor {cursor!r}")

    async def test_a_change_by_others_is_seen(self, opened: Opened) -> None:
        """Contract section 5: drift is "managed objects whose spec differs"; so it must be read each time."""
        rule, stored = await opened.create(1)
        await opened.subject.change(rule.ref, opened.subject.groups(2))
        now = await opened.call(opened.backend.get(rule.ref))
        if now.rule.groups != opened.subject.groups(2) or not now.managed:
            fail("get does not show a change by others: read the object each time.")
        if now.version == stored.version:
            fail("The version is the same after a change by others: no change could ever be Stale.")


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
    return fail("A list never ends: the last page needs next_cursor=None.")


def _check_complete(what: str, stored: object) -> None:
    if not isinstance(stored, StoredRule):
        fail(f"{what} returned a {type(stored).__name__}; expected a StoredRule.")
    if not stored.version or not stored.object_name:
        fail(f"{what} returned no version or no object_name.")
    for moment in (stored.created_at, stored.updated_at):
        if moment is not None and moment.utcoffset() != timedelta(0):
            fail(f"{what} returned a time that is not in UTC: use datetime with UTC, or None.")
    if not isinstance(stored.rule.ref, RuleRef) or not isinstance(stored.rule.groups, tuple):
        fail(f"{what} returned groups that are not a tuple, or no RuleRef.")
