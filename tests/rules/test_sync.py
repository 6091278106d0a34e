"""Sync: the backends hold what was requested, and drift is reported (contract section 5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from candy_core.backoff import Backoff
from candy_core.errors import BackendUnavailable, CandyError, Invalid, Overloaded
from candy_core.rules import RetryPolicy
from tests.rules.conftest import QUICK, OpenSetup, RuleSetup, rule
from tests.rules.unsteady import Call, cut


async def sync(setup: RuleSetup, *rules: Any, seconds: float | None = None, **more: Any) -> dict[str, str]:
    """The result of each rule. ``unsteady`` is the default type."""
    answer = await setup.rules.sync({"type": "unsteady", "rules": list(rules), **more}, seconds=seconds)
    counts = dict.fromkeys(("created", "updated", "unchanged", "deleted", "failed", "drifted"), 0)
    for result in answer.results:
        counts[result.result] += 1
        assert bool(result.errors) == (result.result == "failed")
    assert {word: getattr(answer.summary, word) for word in counts} == counts
    return {result.name: result.result for result in answer.results}


async def errors_of(setup: RuleSetup, *rules: Any, **more: Any) -> dict[str, list[tuple[str, str]]]:
    answer = await setup.rules.sync({"type": "unsteady", "rules": list(rules), **more})
    return {each.name: [(error.path, error.message) for error in each.errors] for each in answer.results if each.errors}


def entry(name: str, content: object = "up == 0", **more: Any) -> dict[str, Any]:
    return {"name": name, "content": content, **more}


async def test_the_backend_holds_what_was_requested(setup: RuleSetup) -> None:
    """Contract §5: '`created`, `updated`, `deleted` | written … `unchanged` … `failed`'."""
    assert await sync(setup, entry("A"), entry("B")) == {"A": "created", "B": "created"}
    assert await sync(setup, entry("A"), entry("B", "up == 1"), entry("C", key="c.yaml")) == {
        "A": "unchanged", "B": "updated", "C": "created",
    }  # fmt: skip
    assert await sync(setup, entry("C")) == {"C": "updated"}  # its key is gone
    assert setup.unsteady.names() == {"a", "b", "c"}
    assert await sync(setup, entry("C"), entry("D"), prune=True) == {
        "C": "unchanged", "D": "created", "A": "deleted", "B": "deleted",
    }  # fmt: skip
    assert setup.unsteady.names() == {"c", "d"}
    assert await sync(setup, prune=True) == {"C": "deleted", "D": "deleted"}


async def test_a_request_has_a_limited_number_of_rules(setup: RuleSetup) -> None:
    """Contract §7: at a body of CANDY_MAX_BODY 'the process stays below 400 MB'; a million numbers took a gigabyte."""
    with pytest.raises(Invalid) as refused:
        await setup.rules.sync({"type": "unsteady", "rules": [1] * 10_001})
    assert [(each.path, each.message) for each in refused.value.problems] == [
        ("$.rules", "expected at most 10000 element(s)")
    ]
    assert set((await sync(setup, *[entry("A", "")] * 10_000)).values()) == {"failed"}


async def test_it_takes_one_list_and_a_write_for_each_difference(setup: RuleSetup) -> None:
    """Contract §5: 'in one list call plus the writes that are needed'."""
    names = [f"r{number}" for number in range(40)]
    await sync(setup, *(entry(name) for name in names))
    setup.connection.calls.clear()
    result = await sync(setup, *(entry(name, "x" if name == "r7" else "up == 0") for name in names[:-1]), prune=True)
    assert result["r7"] == "updated"
    assert result["r39"] == "deleted"
    assert sorted(setup.connection.calls) == [
        ("apply", "r7"),
        ("delete", "r39"),
        ("list", "monitoring"),
        ("validate", "r7"),
    ]
    setup.connection.calls.clear()
    await sync(setup, *(entry(name, namespace=space) for name in names for space in ("default", "monitoring")))
    assert sorted(name for method, name in setup.connection.calls if method == "list") == ["default", "monitoring"]
    assert 1 < setup.connection.peak <= QUICK.concurrency


async def test_one_bad_rule_does_not_affect_the_others(setup: RuleSetup) -> None:
    """Contract §5: 'One bad rule never costs the others'; 'each error names group, rule and field'."""
    setup.unsteady.rewrite("theirs")
    file = {"groups": [{"name": "a", "rules": [{"alert": "A", "expr": "up"}, {"alert": "B", "exprr": "up"}]}]}
    found = await errors_of(
        setup,
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
    assert setup.unsteady.names() == {"good", "theirs", "high-cpu"}
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
    assert "Folder, second, unsteady" in found["Type"][0][1]


async def test_results_are_in_the_order_of_the_request_and_pruned_ones_last(setup: RuleSetup) -> None:
    await sync(setup, entry("z"), entry("y"))
    rules = [entry("c"), entry("bad", ""), entry("a"), entry("b", "sum(")]
    answer = await setup.rules.sync({"type": "unsteady", "prune": True, "rules": rules})
    assert [(each.name, each.result) for each in answer.results] == [
        ("c", "created"), ("bad", "failed"), ("a", "created"), ("b", "failed"), ("y", "deleted"), ("z", "deleted"),
    ]  # fmt: skip


async def test_prune_keeps_unmanaged_objects_and_those_of_invalid_rules(setup: RuleSetup) -> None:
    """Contract §5: 'with `prune` exactly these, of the managed ones'; a mistake in a rule deletes nothing."""
    setup.unsteady.rewrite("theirs")
    names = ["Content", "Type", "Space", "Twice", "Expression", "Gone"]
    await sync(setup, *(entry(name) for name in names), *(entry(name, namespace="default") for name in names))
    result = await sync(
        setup,
        entry("Content", {"groups": 5}),
        entry("Type", type="nagios"),
        entry("Space", namespace=7),
        entry("Twice", "a"),
        entry("Twice", "b"),
        entry("Expression", "sum(up"),
        prune=True,
    )
    assert result == {**dict.fromkeys(names, "failed"), "Gone": "deleted"}
    assert setup.unsteady.names() == {"theirs", "content", "type", "space", "twice", "expression"}
    assert len(setup.unsteady.names("default")) == len(names), "another namespace was not named"


@pytest.mark.parametrize("nameless", ["no rule at all", {"content": "up"}, {"name": 5, "content": "up"}])
async def test_nothing_is_pruned_if_a_rule_has_no_name(setup: RuleSetup, nameless: Any) -> None:
    await sync(setup, entry("A"))
    answer = await setup.rules.sync({"type": "unsteady", "prune": True, "rules": [entry("B"), nameless]})
    assert [each.result for each in answer.results] == ["created", "failed"]
    assert "nothing was pruned" in answer.results[1].errors[-1].message
    assert setup.unsteady.names() == {"a", "b"}


async def test_prune_frees_an_object_for_another_name(setup: RuleSetup) -> None:
    await sync(setup, entry("High CPU"))
    assert await sync(setup, entry("high-cpu"), prune=True) == {"high-cpu": "created", "High CPU": "deleted"}
    assert setup.unsteady.document("high-cpu")["name"] == "high-cpu"


async def test_a_dry_run_reports_the_same_and_writes_nothing(setup: RuleSetup) -> None:
    """Contract §5: 'POST, PUT, DELETE and sync take `dry_run`'."""
    await sync(setup, entry("A"), entry("B"))
    before = {name: setup.unsteady.file(name).read_bytes() for name in setup.unsteady.names()}
    rules = [entry("A", "x"), entry("C"), entry("D", "sum(")]
    reported = await sync(setup, *rules, prune=True, dry_run=True)
    assert {name: setup.unsteady.file(name).read_bytes() for name in setup.unsteady.names()} == before
    assert reported == await sync(setup, *rules, prune=True)
    assert reported == {"A": "updated", "C": "created", "D": "failed", "B": "deleted"}


async def test_rules_inherit_type_and_namespace_and_may_have_their_own(setup: RuleSetup) -> None:
    """Contract §5: 'they inherit `type` and `namespace`'."""
    result = await sync(
        setup, entry("A"), entry("B", type="second"), entry("C", namespace="other"), namespace="default"
    )
    assert result == {"A": "created", "B": "created", "C": "created"}
    assert setup.unsteady.names("default") == {"a"}
    assert setup.unsteady.names("other") == {"c"}
    assert evolve(setup, path=setup.path.with_name("rules-second")).names("default") == {"b"}


async def test_an_unavailable_backend_fails_only_its_own_rules_and_is_not_pruned(setup: RuleSetup) -> None:
    """Contract §5: 503 if no backend is available; else the rules of those that are not have failed."""
    await sync(setup, entry("A"))
    await sync(setup, entry("S", type="second"), entry("T", type="second"))
    setup.connection.fault = cut(method="list", times=1000, after=False)
    result = await sync(setup, entry("B"), entry("S", type="second"), prune=True)
    assert result == {"B": "failed", "S": "unchanged", "T": "deleted"}
    answer = await setup.rules.sync({"type": "unsteady", "prune": True, "rules": [entry("S", type="second")]})
    assert [(each.name, each.result) for each in answer.results] == [("S", "unchanged"), ("", "failed")]
    assert answer.results[1].errors[0].message.startswith("backend_unavailable: ")
    assert setup.unsteady.names() == {"a"}
    with pytest.raises(BackendUnavailable):
        await sync(setup, entry("B"))


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("method", ["list", "get", "validate", "apply", "delete"])
async def test_a_sync_goes_on_after_a_cut_connection_and_ends_right(setup: RuleSetup, method: str, after: bool) -> None:
    """Lessons: 'the API server killed and started again in the middle'. A write whose response was lost counts once."""
    await sync(setup, entry("Old"), entry("Changed"), entry("Same"))
    setup.connection.calls.clear()
    setup.connection.fault = cut(method=method, times=3, after=after)
    rules = (entry("New"), entry("Changed", "x"), entry("Same"))
    assert await sync(setup, *rules, prune=True) == {
        "New": "created", "Changed": "updated", "Same": "unchanged", "Old": "deleted",
    }  # fmt: skip
    assert setup.unsteady.names() == {"new", "changed", "same"}
    assert set((await sync(setup, *rules, prune=True)).values()) == {"unchanged"}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_of_two_names_with_the_same_object_one_fails(setup: RuleSetup, dry_run: bool) -> None:
    """Contract §5: 'two names that meet in one object are a 409 `exists`'; a dry run reports it too."""
    rules = (entry("High CPU"), entry("high-cpu"), entry("Other"))
    found = await sync(setup, *rules, dry_run=dry_run)
    assert (found["Other"], sorted((found["High CPU"], found["high-cpu"]))) == ("created", ["created", "failed"])
    errors = await errors_of(setup, *rules, dry_run=dry_run)
    assert [message.split(":")[0] for ((_, message),) in errors.values()] == ["exists"]


async def test_an_outage_is_retried_no_longer_than_the_window(open_setup: OpenSetup) -> None:
    """Retries are limited in time, and so is the delay of the other rules of the sync."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await asyncio.sleep(0)

    retry = RetryPolicy(backoff=Backoff(first=0.5, longest=4.0), window=45.0, clock=lambda: now[0], sleep=sleep)
    async with open_setup(timing=evolve(QUICK, retry=retry)) as setup:
        setup.connection.fault = cut(method="apply", times=10_000, after=False)
        assert await sync(setup, *(entry(f"r{number}") for number in range(20))) == {
            f"r{number}": "failed" for number in range(20)
        }
        assert now[0] < 20 * 45
        setup.connection.fault = cut(method="apply", times=setup.connection.count("apply") + 5, after=True)
        assert set((await sync(setup, *(entry(f"r{number}") for number in range(20)))).values()) == {"created"}


@pytest.mark.parametrize(("retry_after", "slept", "word"), [(30.0, [30.0], "created"), (60.0, [], "failed")])
async def test_a_backend_that_asks_for_a_pause_gets_it(
    open_setup: OpenSetup, retry_after: float, slept: list[float], word: str
) -> None:
    """429 with `Retry-After`: the pause is as long as it says, and there is no retry if that is too long."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def busy(call: Call) -> None:
        if (call.method, call.number, call.done) == ("apply", 1, False):
            raise Overloaded("too many requests", retry_after=retry_after)

    async with open_setup(timing=evolve(QUICK, retry=RetryPolicy(window=45.0, sleep=sleep))) as setup:
        setup.connection.fault = busy
        assert await sync(setup, entry("A")) == {"A": word}
    assert waits == slept


async def test_an_object_that_has_changed_in_between_is_read_again(setup: RuleSetup) -> None:
    """A sync writes what was requested over a change between its list and its write."""
    await sync(setup, entry("A"), entry("B"))

    def interfere(call: Call) -> None:
        if (call.method, call.number, call.done) == ("validate", 1, False):
            setup.unsteady.rewrite("A", comment="changed")
            setup.unsteady.file("B").unlink()
            setup.unsteady.rewrite("C", managed=True, name="C", annotations={})

    setup.connection.calls.clear()
    setup.connection.fault = interfere
    assert await sync(setup, entry("A", "x"), entry("B", "x"), entry("C", "x")) == {
        "A": "updated", "B": "created", "C": "updated",
    }  # fmt: skip
    assert set((await sync(setup, entry("A", "x"), entry("B", "x"), entry("C", "x"))).values()) == {"unchanged"}


async def test_an_object_that_is_created_and_deleted_in_between_is_created(setup: RuleSetup) -> None:
    """A name that is taken at the write and free at the read that follows is not `exists`."""

    def interfere(call: Call) -> None:
        if (call.method, call.number, call.done) == ("apply", 1, False):
            setup.unsteady.rewrite("A", managed=True, name="A", annotations={})
        if (call.method, call.number, call.done) == ("get", 1, False):
            setup.unsteady.file("A").unlink()

    setup.connection.fault = interfere
    assert await sync(setup, entry("A")) == {"A": "created"}


async def test_an_object_that_changes_all_the_time_is_given_up(setup: RuleSetup) -> None:
    await sync(setup, entry("A"))

    def interfere(call: Call) -> None:
        if call.method == "apply" and not call.done:
            setup.unsteady.rewrite("A", comment=f"changed {call.number}")

    setup.connection.fault = interfere
    assert (await errors_of(setup, entry("A", "x")))["A"][0][1].startswith("stale: ")


async def test_a_rule_based_on_an_old_version_is_not_written(setup: RuleSetup) -> None:
    await sync(setup, entry("A"))
    setup.unsteady.rewrite("A", comment="touched")
    found = await setup.rules.sync({"type": "unsteady", "rules": [entry("A", "x", resource_version="old")]})
    assert found.results[0].errors[0].message.startswith("stale: ")
    same = await setup.rules.sync({"type": "unsteady", "rules": [entry("A", resource_version="old")]})
    assert same.results[0].result == "unchanged"


async def test_a_fault_of_the_plugin_fails_one_rule_and_shows_no_secret(setup: RuleSetup) -> None:
    def bug(call: Call) -> None:
        if call.method == "apply" and call.name == "A":
            raise KeyError("hunter2")

    setup.connection.fault = bug
    answer = await setup.rules.sync({"type": "unsteady", "rules": [entry("A"), entry("B")]})
    assert [each.result for each in answer.results] == ["failed", "created"]
    assert "hunter2" not in str(answer)
    assert setup.connection.count("apply") == 2, "a fault of the plugin is not retried"


async def test_the_deadline_of_the_caller_limits_everything(open_setup: OpenSetup) -> None:
    """A rule that was not reached in time has failed, and its error says that it may have been written."""

    async def hang(seconds: float) -> None:
        await asyncio.Event().wait()

    retry = RetryPolicy(window=1e9, listing=1e9, sleep=hang)
    async with open_setup(timing=evolve(QUICK, retry=retry)) as setup:
        await sync(setup, entry("Old"))
        setup.connection.fault = cut(method="apply", times=1000, after=False)
        assert await sync(setup, entry("A"), entry("Old"), seconds=2) == {"A": "failed", "Old": "unchanged"}
        setup.connection.fault = cut(method="list", times=1000, after=False)
        with pytest.raises(BackendUnavailable):
            await sync(setup, entry("A"), seconds=0.2)
        with pytest.raises(BackendUnavailable):
            await setup.rules.sync({"type": "unsteady"}, seconds=0.2)
        for call in (
            setup.rules.create(rule(type="unsteady"), seconds=1e-9),
            setup.rules.replace(rule(type="unsteady"), seconds=1e-9),
            setup.rules.delete({"name": "Old", "type": "unsteady"}, seconds=1e-9),
        ):
            with pytest.raises(BackendUnavailable, match="no answer within"):
                await call


async def test_without_rules_it_reports_drift(setup: RuleSetup) -> None:
    """Contract §5: 'Without `rules` a sync reports drift: managed objects whose spec differs from the hash kept'."""
    await sync(setup, entry("A"), entry("B"), entry("C", namespace="default"), entry("D"))
    setup.unsteady.rewrite("theirs")
    setup.unsteady.rewrite("A", groups=[{"name": "other", "rules": []}])
    setup.unsteady.rewrite("C", namespace="default", groups=[])
    setup.unsteady.rewrite("D", annotations={})
    before = {file: file.read_bytes() for file in setup.unsteady.path.rglob("*.yaml")}

    async def report(**more: Any) -> tuple[list[str], int]:
        answer = await setup.rules.sync({"type": "unsteady", **more})
        assert {each.result for each in answer.results} == {"drifted"}
        assert all(each.errors[0].path == "$.groups" for each in answer.results)
        assert answer.summary.drifted == len(answer.results)
        return sorted(each.name for each in answer.results), answer.summary.unchanged

    assert await report() == (["A", "C", "D"], 1)
    assert await report(namespace="default") == (["C"], 0)
    assert {file: file.read_bytes() for file in setup.unsteady.path.rglob("*.yaml")} == before
    await sync(setup, entry("A"), entry("C", namespace="default"), entry("D"))
    everywhere = await setup.rules.sync({})
    assert (everywhere.results, everywhere.summary.unchanged) == ((), 4)
    setup.path.rename(setup.path.with_name("away"))
    partly = await setup.rules.sync({})
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
async def test_a_problem_of_the_request_as_a_whole_is_raised(setup: RuleSetup, body: Any, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        await setup.rules.sync(body)
    assert [problem.path for problem in caught.value.problems] == [path]


async def test_two_syncs_at_once_leave_the_rules_of_one_of_them(setup: RuleSetup) -> None:
    """Each rule is as one of the two wrote it."""
    for _ in range(3):
        one = [entry(f"r{number}", "one > 0") for number in range(10)]
        two = [entry(f"r{number}", "two > 0") for number in range(10)]
        answers = await asyncio.gather(sync(setup, *one), sync(setup, *two), return_exceptions=True)
        assert not [answer for answer in answers if isinstance(answer, CandyError)]
        for number in range(10):
            assert setup.unsteady.document(f"r{number}")["groups"][0]["rules"][0]["expr"] in ("one > 0", "two > 0")
