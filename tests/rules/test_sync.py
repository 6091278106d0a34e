"""Sync: what is to hold, holds; and what has drifted is told (contract section 5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from candy_core.backoff import Backoff
from candy_core.errors import BackendUnavailable, CandyError, Invalid, Overloaded
from candy_core.rules import Retrying
from tests.rules.conftest import QUICK, Opened, Place, rule
from tests.rules.unsteady import Call, cut


async def sync(place: Place, *rules: Any, seconds: float | None = None, **more: Any) -> dict[str, str]:
    """What became of each rule; ``unsteady`` is the type where none is named."""
    answer = await place.rules.sync({"type": "unsteady", "rules": list(rules), **more}, seconds=seconds)
    counts = dict.fromkeys(("created", "updated", "unchanged", "deleted", "failed", "drifted"), 0)
    for result in answer.results:
        counts[result.result] += 1
        assert bool(result.errors) == (result.result == "failed")
    assert {word: getattr(answer.summary, word) for word in counts} == counts
    return {result.name: result.result for result in answer.results}


async def errors_of(place: Place, *rules: Any, **more: Any) -> dict[str, list[tuple[str, str]]]:
    answer = await place.rules.sync({"type": "unsteady", "rules": list(rules), **more})
    return {each.name: [(error.path, error.message) for error in each.errors] for each in answer.results if each.errors}


def entry(name: str, content: object = "up == 0", **more: Any) -> dict[str, Any]:
    return {"name": name, "content": content, **more}


async def test_the_backend_holds_what_was_asked_for(place: Place) -> None:
    """Contract §5: '`created`, `updated`, `deleted` | written … `unchanged` … `failed`'."""
    assert await sync(place, entry("A"), entry("B")) == {"A": "created", "B": "created"}
    assert await sync(place, entry("A"), entry("B", "up == 1"), entry("C", key="c.yaml")) == {
        "A": "unchanged", "B": "updated", "C": "created",
    }  # fmt: skip
    assert await sync(place, entry("C")) == {"C": "updated"}  # its key is gone
    assert place.unsteady.names() == {"a", "b", "c"}
    assert await sync(place, entry("C"), entry("D"), prune=True) == {
        "C": "unchanged", "D": "created", "A": "deleted", "B": "deleted",
    }  # fmt: skip
    assert place.unsteady.names() == {"c", "d"}
    assert await sync(place, prune=True) == {"C": "deleted", "D": "deleted"}


async def test_a_request_has_no_more_rules_than_can_be_looked_at(place: Place) -> None:
    """Contract §7: at a body of CANDY_MAX_BODY 'the process stays below 400 MB'; a million numbers took a gigabyte."""
    with pytest.raises(Invalid) as refused:
        await place.rules.sync({"type": "unsteady", "rules": [1] * 10_001})
    assert [(each.path, each.message) for each in refused.value.problems] == [
        ("$.rules", "expected at most 10000 element(s)")
    ]
    assert set((await sync(place, *[entry("A", "")] * 10_000)).values()) == {"failed"}


async def test_it_takes_one_list_and_the_writes_that_differ(place: Place) -> None:
    """Contract §5: 'in one list call plus the writes that are needed'."""
    names = [f"r{number}" for number in range(40)]
    await sync(place, *(entry(name) for name in names))
    place.line.calls.clear()
    result = await sync(place, *(entry(name, "x" if name == "r7" else "up == 0") for name in names[:-1]), prune=True)
    assert result["r7"] == "updated"
    assert result["r39"] == "deleted"
    assert sorted(place.line.calls) == [("apply", "r7"), ("delete", "r39"), ("list", "monitoring"), ("validate", "r7")]
    place.line.calls.clear()
    await sync(place, *(entry(name, namespace=space) for name in names for space in ("default", "monitoring")))
    assert sorted(name for method, name in place.line.calls if method == "list") == ["default", "monitoring"]
    assert 1 < place.line.most <= QUICK.concurrency


async def test_one_bad_rule_never_costs_the_others(place: Place) -> None:
    """Contract §5: 'One bad rule never costs the others'; 'each error names group, rule and field'."""
    place.unsteady.rewrite("theirs")
    file = {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "up"}, {"alert": "B", "exprr": "up"}]}]}
    found = await errors_of(
        place,
        entry("Good"),
        entry("Shape", colour="red"),
        entry("File", file),
        entry("Expression", "sum(up"),
        entry("Type", type="nagios"),
        entry("Space", namespace="No Legal Name"),
        entry("theirs"),
        entry("High CPU"),
        entry("high-cpu"),
        entry("Old", resource_version="1"),
        entry("Twice"),
        entry("Twice", "x"),
        {"name": 5, "content": "up"},
        "no rule at all",
    )
    assert place.unsteady.names() == {"good", "theirs", "high-cpu"}
    assert {name: [path for path, _ in errors] for name, errors in found.items() if name != ""} == {
        "Shape": ["$.colour"],
        "File": ["$.groups[0].rules[1].expr", "$.groups[0].rules[1].exprr"],
        "Expression": ["$.groups[0].rules[0].expr"],
        "Type": ["$.type"],
        "Space": ["$.namespace"],
        "theirs": ["$"],
        ("high-cpu" if "high-cpu" in found else "High CPU"): ["$"],
        "Old": ["$"],
        "Twice": ["$.name"],
    }
    assert found["theirs"][0][1].startswith("not_managed: ")
    assert found["Old"][0][1].startswith("stale: ")
    assert "Folder, shelf, unsteady" in found["Type"][0][1]


async def test_results_are_in_the_order_of_the_request_and_then_what_was_pruned(place: Place) -> None:
    await sync(place, entry("z"), entry("y"))
    rules = [entry("c"), entry("bad", ""), entry("a"), entry("b", "sum(")]
    answer = await place.rules.sync({"type": "unsteady", "prune": True, "rules": rules})
    assert [(each.name, each.result) for each in answer.results] == [
        ("c", "created"), ("bad", "failed"), ("a", "created"), ("b", "failed"), ("y", "deleted"), ("z", "deleted"),
    ]  # fmt: skip


async def test_prune_spares_what_is_somebody_elses_and_what_was_named_but_bad(place: Place) -> None:
    """Contract §5: 'with `prune` exactly these, of the managed ones'; a mistake in a rule deletes nothing."""
    place.unsteady.rewrite("theirs")
    names = ["Content", "Type", "Space", "Twice", "Expression", "Gone"]
    await sync(place, *(entry(name) for name in names), *(entry(name, namespace="default") for name in names))
    result = await sync(
        place,
        entry("Content", {"groups": 5}),
        entry("Type", type="nagios"),
        entry("Space", namespace=7),
        entry("Twice", "a"),
        entry("Twice", "b"),
        entry("Expression", "sum(up"),
        prune=True,
    )
    assert result == {**dict.fromkeys(names, "failed"), "Gone": "deleted"}
    assert place.unsteady.names() == {"theirs", "content", "type", "space", "twice", "expression"}
    assert len(place.unsteady.names("default")) == len(names), "another namespace was not named"


@pytest.mark.parametrize("nameless", ["no rule at all", {"content": "up"}, {"name": 5, "content": "up"}])
async def test_nothing_is_pruned_where_it_cannot_be_told_what_was_named(place: Place, nameless: Any) -> None:
    await sync(place, entry("A"))
    answer = await place.rules.sync({"type": "unsteady", "prune": True, "rules": [entry("B"), nameless]})
    assert [each.result for each in answer.results] == ["created", "failed"]
    assert "nothing was pruned" in answer.results[1].errors[-1].message
    assert place.unsteady.names() == {"a", "b"}


async def test_prune_makes_room_for_another_name_of_the_same_object(place: Place) -> None:
    await sync(place, entry("High CPU"))
    assert await sync(place, entry("high-cpu"), prune=True) == {"high-cpu": "created", "High CPU": "deleted"}
    assert place.unsteady.document("high-cpu")["name"] == "high-cpu"


async def test_a_dry_run_tells_the_same_and_writes_nothing(place: Place) -> None:
    """Contract §5: 'POST, PUT, DELETE and sync take `dry_run`'."""
    await sync(place, entry("A"), entry("B"))
    before = {name: place.unsteady.file(name).read_bytes() for name in place.unsteady.names()}
    wanted = [entry("A", "x"), entry("C"), entry("D", "sum(")]
    told = await sync(place, *wanted, prune=True, dry_run=True)
    assert {name: place.unsteady.file(name).read_bytes() for name in place.unsteady.names()} == before
    assert told == await sync(place, *wanted, prune=True)
    assert told == {"A": "updated", "C": "created", "D": "failed", "B": "deleted"}


async def test_rules_inherit_type_and_namespace_and_may_have_their_own(place: Place) -> None:
    """Contract §5: 'they inherit `type` and `namespace`'."""
    result = await sync(place, entry("A"), entry("B", type="shelf"), entry("C", namespace="other"), namespace="default")
    assert result == {"A": "created", "B": "created", "C": "created"}
    assert place.unsteady.names("default") == {"a"}
    assert place.unsteady.names("other") == {"c"}
    assert evolve(place, path=place.path.with_name("rules-shelf")).names("default") == {"b"}


async def test_a_backend_that_is_away_costs_only_its_own_rules_and_nothing_of_it_is_pruned(place: Place) -> None:
    """Contract §5: 503 where nothing can be had; else what could not be listed has failed."""
    await sync(place, entry("A"))
    await sync(place, entry("S", type="shelf"), entry("T", type="shelf"))
    place.line.trouble = cut(method="list", times=1000, after=False)
    result = await sync(place, entry("B"), entry("S", type="shelf"), prune=True)
    assert result == {"B": "failed", "S": "unchanged", "T": "deleted"}
    answer = await place.rules.sync({"type": "unsteady", "prune": True, "rules": [entry("S", type="shelf")]})
    assert [(each.name, each.result) for each in answer.results] == [("S", "unchanged"), ("", "failed")]
    assert answer.results[1].errors[0].message.startswith("backend_unavailable: ")
    assert place.unsteady.names() == {"a"}
    with pytest.raises(BackendUnavailable):
        await sync(place, entry("B"))


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("method", ["list", "get", "validate", "apply", "delete"])
async def test_a_cut_connection_is_taken_up_again_and_the_sync_ends_right(
    place: Place, method: str, after: bool
) -> None:
    """Lessons: 'the API server killed and started again in the middle'. A write whose answer was lost counts once."""
    await sync(place, entry("Old"), entry("Changed"), entry("Same"))
    place.line.calls.clear()
    place.line.trouble = cut(method=method, times=3, after=after)
    wanted = (entry("New"), entry("Changed", "x"), entry("Same"))
    assert await sync(place, *wanted, prune=True) == {
        "New": "created", "Changed": "updated", "Same": "unchanged", "Old": "deleted",
    }  # fmt: skip
    assert place.unsteady.names() == {"new", "changed", "same"}
    assert set((await sync(place, *wanted, prune=True)).values()) == {"unchanged"}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_of_two_names_that_meet_in_one_object_one_fails(place: Place, dry_run: bool) -> None:
    """Contract §5: 'two names that meet in one object are a 409 `exists`'; a dry run tells what would be."""
    rules = (entry("High CPU"), entry("high-cpu"), entry("Other"))
    found = await sync(place, *rules, dry_run=dry_run)
    assert (found["Other"], sorted((found["High CPU"], found["high-cpu"]))) == ("created", ["created", "failed"])
    told = await errors_of(place, *rules, dry_run=dry_run)
    assert [message.split(":")[0] for ((_, message),) in told.values()] == ["exists"]


async def test_an_outage_is_waited_for_no_longer_than_its_window(open_place: Opened) -> None:
    """Retries are bounded in time; the others of the sync are not held up by more than that."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await asyncio.sleep(0)

    retrying = Retrying(backoff=Backoff(first=0.5, longest=4.0), window=45.0, clock=lambda: now[0], sleep=sleep)
    async with open_place(timing=evolve(QUICK, retrying=retrying)) as place:
        place.line.trouble = cut(method="apply", times=10_000, after=False)
        assert await sync(place, *(entry(f"r{number}") for number in range(20))) == {
            f"r{number}": "failed" for number in range(20)
        }
        assert now[0] < 20 * 45
        place.line.trouble = cut(method="apply", times=place.line.count("apply") + 5, after=True)
        assert set((await sync(place, *(entry(f"r{number}") for number in range(20)))).values()) == {"created"}


@pytest.mark.parametrize(("told", "slept", "word"), [(30.0, [30.0], "created"), (60.0, [], "failed")])
async def test_a_backend_that_says_how_long_it_wants_to_be_left_alone_is(
    open_place: Opened, told: float, slept: list[float], word: str
) -> None:
    """429 with `Retry-After`: as long as it says, and where that is too long not again."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def busy(call: Call) -> None:
        if (call.method, call.number, call.done) == ("apply", 1, False):
            raise Overloaded("too many requests", retry_after=told)

    async with open_place(timing=evolve(QUICK, retrying=Retrying(window=45.0, sleep=sleep))) as place:
        place.line.trouble = busy
        assert await sync(place, entry("A")) == {"A": word}
    assert waits == slept


async def test_what_is_changed_by_somebody_else_meanwhile_is_read_again(place: Place) -> None:
    """A sync makes hold what was asked for, also over a change that came between its list and its write."""
    await sync(place, entry("A"), entry("B"))

    def meddle(call: Call) -> None:
        if (call.method, call.number, call.done) == ("validate", 1, False):
            place.unsteady.rewrite("A", comment="meddled")
            place.unsteady.file("B").unlink()
            place.unsteady.rewrite("C", managed=True, name="C", annotations={})

    place.line.calls.clear()
    place.line.trouble = meddle
    assert await sync(place, entry("A", "x"), entry("B", "x"), entry("C", "x")) == {
        "A": "updated", "B": "created", "C": "updated",
    }  # fmt: skip
    assert set((await sync(place, entry("A", "x"), entry("B", "x"), entry("C", "x"))).values()) == {"unchanged"}


async def test_what_somebody_else_makes_and_deletes_meanwhile_is_made_all_the_same(place: Place) -> None:
    """A name that is taken when the rule is to be made, and free when it is asked who has it, is no `exists`."""

    def meddle(call: Call) -> None:
        if (call.method, call.number, call.done) == ("apply", 1, False):
            place.unsteady.rewrite("A", managed=True, name="A", annotations={})
        if (call.method, call.number, call.done) == ("get", 1, False):
            place.unsteady.file("A").unlink()

    place.line.trouble = meddle
    assert await sync(place, entry("A")) == {"A": "created"}


async def test_somebody_who_meddles_all_the_time_is_given_up_on(place: Place) -> None:
    await sync(place, entry("A"))

    def meddle(call: Call) -> None:
        if call.method == "apply" and not call.done:
            place.unsteady.rewrite("A", comment=f"meddled {call.number}")

    place.line.trouble = meddle
    assert (await errors_of(place, entry("A", "x")))["A"][0][1].startswith("stale: ")


async def test_a_rule_based_on_an_old_version_is_not_written(place: Place) -> None:
    await sync(place, entry("A"))
    place.unsteady.rewrite("A", comment="touched")
    found = await place.rules.sync({"type": "unsteady", "rules": [entry("A", "x", resource_version="old")]})
    assert found.results[0].errors[0].message.startswith("stale: ")
    same = await place.rules.sync({"type": "unsteady", "rules": [entry("A", resource_version="old")]})
    assert same.results[0].result == "unchanged"


async def test_a_fault_of_the_plugin_costs_its_rules_and_is_no_secret(place: Place) -> None:
    def bug(call: Call) -> None:
        if call.method == "apply" and call.name == "A":
            raise KeyError("hunter2")

    place.line.trouble = bug
    answer = await place.rules.sync({"type": "unsteady", "rules": [entry("A"), entry("B")]})
    assert [each.result for each in answer.results] == ["failed", "created"]
    assert "hunter2" not in str(answer)
    assert place.line.count("apply") == 2, "a fault is not there the less the second time"


async def test_the_callers_deadline_bounds_everything(open_place: Opened) -> None:
    """What was not reached in time has failed, and says that it may have been done."""

    async def hang(seconds: float) -> None:
        await asyncio.Event().wait()

    retrying = Retrying(window=1e9, listing=1e9, sleep=hang)
    async with open_place(timing=evolve(QUICK, retrying=retrying)) as place:
        await sync(place, entry("Old"))
        place.line.trouble = cut(method="apply", times=1000, after=False)
        assert await sync(place, entry("A"), entry("Old"), seconds=0.2) == {"A": "failed", "Old": "unchanged"}
        place.line.trouble = cut(method="list", times=1000, after=False)
        with pytest.raises(BackendUnavailable):
            await sync(place, entry("A"), seconds=0.2)
        with pytest.raises(BackendUnavailable):
            await place.rules.sync({"type": "unsteady"}, seconds=0.2)
        for call in (
            place.rules.create(rule(type="unsteady"), seconds=1e-9),
            place.rules.replace(rule(type="unsteady"), seconds=1e-9),
            place.rules.delete({"name": "Old", "type": "unsteady"}, seconds=1e-9),
        ):
            with pytest.raises(BackendUnavailable, match="no answer within"):
                await call


async def test_without_rules_it_reports_drift(place: Place) -> None:
    """Contract §5: 'Without `rules` a sync reports drift: managed objects whose spec differs from the hash kept'."""
    await sync(place, entry("A"), entry("B"), entry("C", namespace="default"), entry("D"))
    place.unsteady.rewrite("theirs")
    place.unsteady.rewrite("A", groups=[{"name": "other", "rules": []}])
    place.unsteady.rewrite("C", namespace="default", groups=[])
    place.unsteady.rewrite("D", annotations={})
    before = {file: file.read_bytes() for file in place.unsteady.path.rglob("*.yaml")}

    async def report(**more: Any) -> tuple[list[str], int]:
        answer = await place.rules.sync({"type": "unsteady", **more})
        assert {each.result for each in answer.results} == {"drifted"}
        assert all(each.errors[0].path == "$.groups" for each in answer.results)
        assert answer.summary.drifted == len(answer.results)
        return sorted(each.name for each in answer.results), answer.summary.unchanged

    assert await report() == (["A", "C", "D"], 1)
    assert await report(namespace="default") == (["C"], 0)
    assert {file: file.read_bytes() for file in place.unsteady.path.rglob("*.yaml")} == before
    await sync(place, entry("A"), entry("C", namespace="default"), entry("D"))
    everywhere = await place.rules.sync({})
    assert (everywhere.results, everywhere.summary.unchanged) == ((), 4)
    place.path.rename(place.path.with_name("away"))
    partly = await place.rules.sync({})
    assert [(each.name, each.result, each.errors[0].path) for each in partly.results] == [("", "failed", "$.type")]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], "$"),
        ({"rules": {}}, "$.rules"),
        ({"rules": [], "prune": "yes"}, "$.prune"),
        ({"rules": [], "type": "nagios"}, "$.type"),
        ({"type": "nagios"}, "$.type"),
        ({"rules": [], "prune": True}, "$.type"),
        ({"prune": True}, "$.rules"),
        ({"rules": [], "colour": 1}, "$.colour"),
        ({"rules": [], "namespace": "No"}, "$.namespace"),
    ],
)
async def test_what_concerns_the_whole_request_refuses_it(place: Place, body: Any, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        await place.rules.sync(body)
    assert [problem.path for problem in caught.value.problems] == [path]


async def test_two_syncs_at_once_do_not_lose_each_other(place: Place) -> None:
    """Whoever comes last, what holds is one of them, whole; and nobody is told a lie."""
    for _ in range(3):
        one = [entry(f"r{number}", "one > 0") for number in range(10)]
        two = [entry(f"r{number}", "two > 0") for number in range(10)]
        answers = await asyncio.gather(sync(place, *one), sync(place, *two), return_exceptions=True)
        assert not [answer for answer in answers if isinstance(answer, CandyError)]
        for number in range(10):
            assert place.unsteady.document(f"r{number}")["groups"][0]["rules"][0]["expr"] in ("one > 0", "two > 0")
