"""Writing: preconditions, ownership, dry runs, deletes."""

from __future__ import annotations

from attrs import evolve

from candy_core.errors import Exists, FieldConflict, NotFound, NotManaged, Stale
from candy_core.ports.rule_backend import Absent, Anything, Expect, Version
from candy_core.testing.executor.base import require
from candy_core.testing.executor.call import fail
from candy_core.testing.rule_backend.base import ANNOTATIONS, Opened, SuiteBase


class WritingSuite(SuiteBase):
    """A write changes only what was requested, and only if its precondition holds."""

    async def test_an_existing_rule_cannot_be_created_again(self, opened: Opened) -> None:
        """Contract section 5: "POST … 409 ``exists``"."""
        rule, stored = await opened.create(1)
        again = evolve(rule, groups=opened.subject.groups(2))
        await opened.raises(
            Exists, opened.backend.apply(again, Absent(), dry_run=False), "apply(Absent) of an existing rule"
        )
        await opened.check_unchanged(stored, "apply(Absent) raised Exists")
        foreign = opened.rule(1)
        await opened.subject.foreign(foreign.ref, foreign.groups)
        call = opened.backend.apply(foreign, Absent(), dry_run=False)
        await opened.raises(Exists, call, "apply(Absent) over an unmanaged object")

    async def test_a_missing_rule_cannot_be_changed(self, opened: Opened) -> None:
        """Contract section 5: "PUT … 404"."""
        rule, stored = await opened.create()
        await opened.call(opened.backend.delete(rule.ref, Anything(), dry_run=False))
        call = opened.backend.apply(rule, Version(stored.version), dry_run=False)
        await opened.raises(NotFound, call, "apply(Version) of a missing rule")
        await opened.check_absent(rule.ref, "apply(Version) raised NotFound")

    async def test_a_change_on_an_old_version_is_stale(self, opened: Opened) -> None:
        """Contract section 5: "409 ``stale`` if ``resource_version`` is given and old"."""
        rule, first = await opened.create(1)
        second_rule = evolve(rule, groups=opened.subject.groups(2))
        second = await opened.call(opened.backend.apply(second_rule, Version(first.version), dry_run=False))
        if second.version == first.version or second.rule.groups != second_rule.groups:
            fail("A change did not change the version, or apply did not return the new state.")
        third = evolve(rule, groups=opened.subject.groups(3))
        call = opened.backend.apply(third, Version(first.version), dry_run=False)
        await opened.raises(Stale, call, "apply with the version before the last")
        await opened.check_unchanged(second, "apply raised Stale")
        await opened.subject.change(rule.ref, opened.subject.groups(4))
        call = opened.backend.apply(third, Version(second.version), dry_run=False)
        await opened.raises(Stale, call, "apply with the version before a change by others")

    async def test_anything_creates_and_replaces(self, opened: Opened) -> None:
        rule = opened.rule(1)
        for number in (1, 2):
            desired = evolve(rule, groups=opened.subject.groups(number))
            await opened.call(opened.backend.apply(desired, Anything(), dry_run=False))
            if (await opened.call(opened.backend.get(rule.ref))).rule.groups != desired.groups:
                fail("apply(Anything) did not write the given groups.")

    async def test_a_change_removes_what_it_does_not_name(self, opened: Opened) -> None:
        """A rule is replaced as a whole: groups and annotations that it no longer has are gone."""
        rule, stored = await opened.create(1, key="a.yaml")
        without = evolve(rule, groups=opened.subject.groups(2), annotations=ANNOTATIONS)
        await opened.call(opened.backend.apply(without, Version(stored.version), dry_run=False))
        now = (await opened.call(opened.backend.get(rule.ref))).rule
        if now.groups != without.groups or "candy-agent.io/key" in now.annotations:
            fail("Groups or annotations of the previous version still exist: replace them, do not merge.")

    async def test_an_unmanaged_object_is_not_changed(self, opened: Opened) -> None:
        """Contract section 5: it "neither changes nor deletes: 403 ``not_managed``"."""
        rule = opened.rule(1)
        await opened.subject.foreign(rule.ref, rule.groups)
        stored = await opened.call(opened.backend.get(rule.ref))
        other = evolve(rule, groups=opened.subject.groups(2))
        expectations: tuple[Expect, ...] = (Version(stored.version), Version("1"), Anything())
        for dry_run in (True, False):
            for expect in expectations:
                call = opened.backend.apply(other, expect, dry_run=dry_run)
                await opened.raises(NotManaged, call, f"apply({expect}) on an unmanaged object")
                call = opened.backend.delete(rule.ref, expect, dry_run=dry_run)
                await opened.raises(NotManaged, call, f"delete({expect}) of an unmanaged object")
        await opened.check_unchanged(stored, "a write raised NotManaged")

    async def test_a_field_of_another_owner_is_not_taken(self, opened: Opened) -> None:
        """Contract section 5: "Never forced: a foreign field owner is 409 ``field_conflict`` and named"."""
        own = opened.subject.own
        require(own, "own", "give a function that gives an object's groups to another owner")
        assert own is not None
        rule, _ = await opened.create(1)
        await own(rule.ref)
        stored = await opened.call(opened.backend.get(rule.ref))
        other = evolve(rule, groups=opened.subject.groups(3))
        for dry_run in (True, False):
            call = opened.backend.apply(other, Version(stored.version), dry_run=dry_run)
            error = await opened.raises(FieldConflict, call, "apply over a field of another owner")
            if opened.subject.owner not in str(error):
                fail(f"FieldConflict does not name the owner of the field: {error}")
        await opened.check_unchanged(stored, "apply raised FieldConflict")

    async def test_a_delete_returns_the_rule(self, opened: Opened) -> None:
        """Contract section 5: "200 the rule deleted; 404"."""
        rule, _ = await opened.create(1)
        gone = await opened.call(opened.backend.delete(rule.ref, Anything(), dry_run=False))
        if gone.rule.groups != rule.groups or gone.rule.ref != rule.ref:
            fail("delete did not return the rule that it removed.")
        await opened.check_absent(rule.ref, "after delete")
        call = opened.backend.delete(rule.ref, Anything(), dry_run=False)
        await opened.raises(NotFound, call, "delete of a missing rule")
        again, _ = await opened.create(2, name=rule.ref.name)
        await opened.call(opened.backend.delete(again.ref, Anything(), dry_run=False))

    async def test_a_delete_of_an_old_version_is_stale(self, opened: Opened) -> None:
        """Contract section 5: "every delete with uid and version as preconditions"."""
        rule, first = await opened.create(1)
        changed = evolve(rule, groups=opened.subject.groups(2))
        second = await opened.call(opened.backend.apply(changed, Version(first.version), dry_run=False))
        call = opened.backend.delete(rule.ref, Version(first.version), dry_run=False)
        await opened.raises(Stale, call, "delete of the version before the last")
        await opened.check_unchanged(second, "delete raised Stale")
        await opened.call(opened.backend.delete(rule.ref, Version(second.version), dry_run=False))
        await opened.check_absent(rule.ref, "after delete")

    async def test_a_dry_run_writes_nothing_and_returns_the_result(self, opened: Opened) -> None:
        """Contract section 5: "POST, PUT, DELETE and sync take ``dry_run``"."""
        rule = opened.rule(1)
        would = await opened.call(opened.backend.apply(rule, Absent(), dry_run=True))
        if would.rule.groups != rule.groups or would.rule.ref != rule.ref:
            fail("A dry run of apply does not return the rule as it would be.")
        await opened.check_absent(rule.ref, "after a dry run of apply(Absent)")
        stored = await opened.call(opened.backend.apply(rule, Absent(), dry_run=False))
        other = evolve(rule, groups=opened.subject.groups(2))
        would = await opened.call(opened.backend.apply(other, Version(stored.version), dry_run=True))
        if would.rule.groups != other.groups:
            fail("A dry run of apply does not return the rule as it would be.")
        await opened.check_unchanged(stored, "after a dry run of apply(Version)")
        gone = await opened.call(opened.backend.delete(rule.ref, Version(stored.version), dry_run=True))
        if gone.rule.groups != rule.groups:
            fail("A dry run of delete does not return the rule.")
        await opened.check_unchanged(stored, "after a dry run of delete")

    async def test_a_dry_run_raises_the_same_errors(self, opened: Opened) -> None:
        rule, _ = await opened.create(1)
        absent = opened.rule(1)
        backend = opened.backend
        await opened.raises(Exists, backend.apply(rule, Absent(), dry_run=True), "a dry run of apply(Absent)")
        await opened.raises(Stale, backend.apply(rule, Version("1"), dry_run=True), "a dry run of apply(Version)")
        await opened.raises(NotFound, backend.apply(absent, Version("1"), dry_run=True), "a dry run of apply(Version)")
        await opened.raises(Stale, backend.delete(rule.ref, Version("1"), dry_run=True), "a dry run of delete")
        await opened.raises(NotFound, backend.delete(absent.ref, Anything(), dry_run=True), "a dry run of delete")
