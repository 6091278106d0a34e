"""Writing: what is expected to be there, whose it is, dry runs, deletes."""

from __future__ import annotations

from attrs import evolve

from candy_core.errors import Exists, FieldConflict, NotFound, NotManaged, Stale
from candy_core.ports.rule_backend import Absent, Anything, Expect, Version
from candy_core.testing.executor.base import needed
from candy_core.testing.executor.call import fail
from candy_core.testing.rule_backend.base import MARKS, Opened, SuiteBase


class WritingSuite(SuiteBase):
    """Nothing is written but what was asked for, onto what it was meant for."""

    async def test_what_is_there_cannot_be_made_again(self, opened: Opened) -> None:
        """Contract section 5: "POST … 409 ``exists``"."""
        rule, stored = await opened.made(1)
        again = evolve(rule, groups=opened.subject.groups(2))
        await opened.raises(Exists, opened.backend.apply(again, Absent(), dry_run=False), "apply(Absent) where it is")
        await opened.is_still(stored, "apply(Absent) raised Exists")
        foreign = opened.rule(1)
        await opened.subject.foreign(foreign.ref, foreign.groups)
        call = opened.backend.apply(foreign, Absent(), dry_run=False)
        await opened.raises(Exists, call, "apply(Absent) where somebody else's object is")

    async def test_what_is_not_there_cannot_be_changed(self, opened: Opened) -> None:
        """Contract section 5: "PUT … 404"."""
        rule, stored = await opened.made()
        await opened.within(opened.backend.delete(rule.ref, Anything(), dry_run=False))
        call = opened.backend.apply(rule, Version(stored.version), dry_run=False)
        await opened.raises(NotFound, call, "apply(Version) where nothing is")
        await opened.is_gone(rule.ref, "apply(Version) raised NotFound")

    async def test_a_change_on_an_old_version_is_stale(self, opened: Opened) -> None:
        """Contract section 5: "409 ``stale`` if ``resource_version`` is given and old"."""
        rule, first = await opened.made(1)
        second_rule = evolve(rule, groups=opened.subject.groups(2))
        second = await opened.within(opened.backend.apply(second_rule, Version(first.version), dry_run=False))
        if second.version == first.version or second.rule.groups != second_rule.groups:
            fail("A change did not change the version, or apply did not tell what is there now.")
        third = evolve(rule, groups=opened.subject.groups(3))
        call = opened.backend.apply(third, Version(first.version), dry_run=False)
        await opened.raises(Stale, call, "apply with the version before the last")
        await opened.is_still(second, "apply raised Stale")
        await opened.subject.change(rule.ref, opened.subject.groups(4))
        call = opened.backend.apply(third, Version(second.version), dry_run=False)
        await opened.raises(Stale, call, "apply with the version before somebody else's change")

    async def test_anything_makes_and_replaces(self, opened: Opened) -> None:
        rule = opened.rule(1)
        for number in (1, 2):
            wanted = evolve(rule, groups=opened.subject.groups(number))
            await opened.within(opened.backend.apply(wanted, Anything(), dry_run=False))
            if (await opened.within(opened.backend.get(rule.ref))).rule.groups != wanted.groups:
                fail("apply(Anything) did not write what it was given.")

    async def test_a_change_takes_away_what_it_does_not_name(self, opened: Opened) -> None:
        """A rule is written whole: groups and annotations that it does not have any more are gone."""
        rule, stored = await opened.made(1, key="a.yaml")
        without = evolve(rule, groups=opened.subject.groups(2), annotations=MARKS)
        await opened.within(opened.backend.apply(without, Version(stored.version), dry_run=False))
        now = (await opened.within(opened.backend.get(rule.ref))).rule
        if now.groups != without.groups or "candy-agent.io/key" in now.annotations:
            fail("Groups or annotations of the version before are still there: replace, and do not merge.")

    async def test_somebody_elses_object_is_left_alone(self, opened: Opened) -> None:
        """Contract section 5: it "neither changes nor deletes: 403 ``not_managed``"."""
        rule = opened.rule(1)
        await opened.subject.foreign(rule.ref, rule.groups)
        stored = await opened.within(opened.backend.get(rule.ref))
        other = evolve(rule, groups=opened.subject.groups(2))
        expectations: tuple[Expect, ...] = (Version(stored.version), Version("1"), Anything())
        for dry_run in (True, False):
            for expect in expectations:
                call = opened.backend.apply(other, expect, dry_run=dry_run)
                await opened.raises(NotManaged, call, f"apply({expect}) on somebody else's object")
                away = opened.backend.delete(rule.ref, expect, dry_run=dry_run)
                await opened.raises(NotManaged, away, f"delete({expect}) of somebody else's object")
        await opened.is_still(stored, "a write raised NotManaged")

    async def test_a_field_that_somebody_else_owns_is_not_taken(self, opened: Opened) -> None:
        """Contract section 5: "Never forced: a foreign field owner is 409 ``field_conflict`` and named"."""
        own = opened.subject.own
        needed(own, "own", "give a function that makes somebody else the owner of an object's groups")
        assert own is not None
        rule, _ = await opened.made(1)
        await own(rule.ref)
        stored = await opened.within(opened.backend.get(rule.ref))
        other = evolve(rule, groups=opened.subject.groups(3))
        for dry_run in (True, False):
            call = opened.backend.apply(other, Version(stored.version), dry_run=dry_run)
            error = await opened.raises(FieldConflict, call, "apply over a field that somebody else owns")
            if opened.subject.owner not in str(error):
                fail(f"FieldConflict does not name who owns the field: {error}")
        await opened.is_still(stored, "apply raised FieldConflict")

    async def test_a_delete_gives_what_was_there(self, opened: Opened) -> None:
        """Contract section 5: "200 the rule deleted; 404"."""
        rule, _ = await opened.made(1)
        gone = await opened.within(opened.backend.delete(rule.ref, Anything(), dry_run=False))
        if gone.rule.groups != rule.groups or gone.rule.ref != rule.ref:
            fail("delete did not give the rule that it removed.")
        await opened.is_gone(rule.ref, "after delete")
        call = opened.backend.delete(rule.ref, Anything(), dry_run=False)
        await opened.raises(NotFound, call, "delete of what is not there")
        again, _ = await opened.made(2, name=rule.ref.name)
        await opened.within(opened.backend.delete(again.ref, Anything(), dry_run=False))

    async def test_a_delete_of_an_old_version_is_stale(self, opened: Opened) -> None:
        """Contract section 5: "every delete with uid and version as preconditions"."""
        rule, first = await opened.made(1)
        changed = evolve(rule, groups=opened.subject.groups(2))
        second = await opened.within(opened.backend.apply(changed, Version(first.version), dry_run=False))
        call = opened.backend.delete(rule.ref, Version(first.version), dry_run=False)
        await opened.raises(Stale, call, "delete of the version before the last")
        await opened.is_still(second, "delete raised Stale")
        await opened.within(opened.backend.delete(rule.ref, Version(second.version), dry_run=False))
        await opened.is_gone(rule.ref, "after delete")

    async def test_a_dry_run_writes_nothing_and_says_what_would_be(self, opened: Opened) -> None:
        """Contract section 5: "POST, PUT, DELETE and sync take ``dry_run``"."""
        rule = opened.rule(1)
        would = await opened.within(opened.backend.apply(rule, Absent(), dry_run=True))
        if would.rule.groups != rule.groups or would.rule.ref != rule.ref:
            fail("A dry run of apply does not say what would be there.")
        await opened.is_gone(rule.ref, "after a dry run of apply(Absent)")
        stored = await opened.within(opened.backend.apply(rule, Absent(), dry_run=False))
        other = evolve(rule, groups=opened.subject.groups(2))
        would = await opened.within(opened.backend.apply(other, Version(stored.version), dry_run=True))
        if would.rule.groups != other.groups:
            fail("A dry run of apply does not say what would be there.")
        await opened.is_still(stored, "after a dry run of apply(Version)")
        gone = await opened.within(opened.backend.delete(rule.ref, Version(stored.version), dry_run=True))
        if gone.rule.groups != rule.groups:
            fail("A dry run of delete does not say what would be deleted.")
        await opened.is_still(stored, "after a dry run of delete")

    async def test_a_dry_run_raises_what_the_real_one_would(self, opened: Opened) -> None:
        rule, _ = await opened.made(1)
        absent = opened.rule(1)
        backend = opened.backend
        await opened.raises(Exists, backend.apply(rule, Absent(), dry_run=True), "a dry run of apply(Absent)")
        await opened.raises(Stale, backend.apply(rule, Version("1"), dry_run=True), "a dry run of apply(Version)")
        await opened.raises(NotFound, backend.apply(absent, Version("1"), dry_run=True), "a dry run of apply(Version)")
        await opened.raises(Stale, backend.delete(rule.ref, Version("1"), dry_run=True), "a dry run of delete")
        await opened.raises(NotFound, backend.delete(absent.ref, Anything(), dry_run=True), "a dry run of delete")
