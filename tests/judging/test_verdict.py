"""Verdicts and their sentences as in the contract."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence

import pytest

from candy_core import ItemStatus, Locale, Outcome, Reason, Sample, Threshold, encode, judge

CPU = '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)'
MEMORY = "100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))"


def samples(*pairs: tuple[str, float]) -> list[Sample]:
    return [Sample(instance=name, value=value, text=f"{value:g}") for name, value in pairs]


def verdict(
    given: Sequence[Sample],
    threshold: str | None = None,
    critical: str | None = None,
    *,
    scalar: bool = False,
    locale: Locale = Locale.ZH_CN,
    query: str = "q",
    noun: str | None = None,
    partial: str | None = None,
) -> Outcome:
    return judge(
        given,
        scalar=scalar,
        threshold=None if threshold is None else Threshold.parse(threshold),
        critical=None if critical is None else Threshold.parse(critical),
        locale=locale,
        head=(f"Query: {query}", f"Result Type: {'scalar' if scalar else 'vector'}"),
        noun=noun,
        partial=partial,
    )


def test_the_first_result_of_the_contract_is_reproduced() -> None:
    """Contract section 2, "Result object": `有 3 个节点超过阈值 80.00，最高值为 node-01 的 95.78`, with its details."""
    given = samples(("node-02", 45.2), ("node-07", 82.64), ("node-01", 95.78), ("node-03", 85.21))
    outcome = verdict(given, "80", query=CPU)
    assert outcome == Outcome(
        status=ItemStatus.WARNING,
        reason=Reason.THRESHOLD_EXCEEDED,
        value="45.2",
        message="有 3 个节点超过阈值 80.00，最高值为 node-01 的 95.78",
        details='Query: 100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100)\n'
        "Result Type: vector\n\n超过阈值的节点：\nnode-01 (95.78)\nnode-03 (85.21)\nnode-07 (82.64)",
        stats={"series": 4, "exceeding": 3, "min": 45.2, "max": 95.78, "worst": 95.78},
    )


def test_the_second_result_of_the_contract_is_reproduced() -> None:
    """Contract section 2, "Result object": `节点 node-1 的值 92.50 超过阈值 90.00`, with its details."""
    outcome = verdict(samples(("node-1", 92.5)), "90", query=MEMORY)
    assert outcome.value == "92.5"
    assert outcome.message == "节点 node-1 的值 92.50 超过阈值 90.00"
    assert outcome.details == (
        "Query: 100 * (1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))\n"
        "Result Type: vector\n\n超过阈值的节点：\nnode-1 (92.50)"
    )


ONE = samples(("a", 50.0))
THREE = samples(("a", 5.0), ("b", 50.0), ("c", 7.0))


@pytest.mark.parametrize(
    ("given", "threshold", "scalar", "chinese", "english"),
    [
        (ONE, "40", False, "节点 a 的值 50.00 超过阈值 40.00", "The value 50.00 of node a exceeds the threshold 40.00"),
        (
            ONE,
            ">=50",
            False,
            "节点 a 的值 50.00 超过阈值 50.00",
            "The value 50.00 of node a exceeds the threshold 50.00",
        ),
        (
            ONE,
            "<60",
            False,
            "节点 a 的值 50.00 低于阈值 60.00",
            "The value 50.00 of node a is below the threshold 60.00",
        ),
        (
            ONE,
            "10:20",
            False,
            "节点 a 的值 50.00 超过阈值 10:20",
            "The value 50.00 of node a exceeds the threshold 10:20",
        ),
        (ONE, "60:", False, "节点 a 的值 50.00 低于阈值 60:", "The value 50.00 of node a is below the threshold 60:"),
        (ONE, "!=0", False, "节点 a 的值 50.00 超过阈值 !=0", "The value 50.00 of node a breaches the threshold !=0"),
        (
            ONE,
            "60",
            False,
            "所有节点的值都在阈值 60.00 范围内",
            "The values of all nodes are within the threshold 60.00",
        ),
        (
            ONE,
            "40:60",
            False,
            "所有节点的值都在阈值 40:60 范围内",
            "The values of all nodes are within the threshold 40:60",
        ),
        (
            THREE,
            "4",
            False,
            "有 3 个节点超过阈值 4.00，最高值为 b 的 50.00",
            "3 nodes exceed the threshold 4.00; the highest value is 50.00 of b",
        ),
        (
            THREE,
            "<10",
            False,
            "有 2 个节点低于阈值 10.00，最低值为 a 的 5.00",
            "2 nodes are below the threshold 10.00; the lowest value is 5.00 of a",
        ),
        (
            THREE,
            "!= 7",
            False,
            "有 2 个节点超过阈值 != 7，最高值为 b 的 50.00",
            "2 nodes breach the threshold != 7; the highest value is 50.00 of b",
        ),
        (
            THREE,
            "6:20",
            False,
            "有 2 个节点超过阈值 6:20，最高值为 b 的 50.00，最低值为 a 的 5.00",
            "2 nodes are outside the threshold 6:20; the highest value is 50.00 of b, the lowest 5.00 of a",
        ),
        (ONE, "40", True, "值 50.00 超过阈值 40.00", "The value 50.00 exceeds the threshold 40.00"),
        (ONE, "<60", True, "值 50.00 低于阈值 60.00", "The value 50.00 is below the threshold 60.00"),
        (ONE, "@1:60", True, "值 50.00 超过阈值 @1:60", "The value 50.00 breaches the threshold @1:60"),
        (ONE, "60", True, "值 50.00 在阈值 60.00 范围内", "The value 50.00 is within the threshold 60.00"),
        (ONE, None, False, "", ""),
        (ONE, None, True, "", ""),
    ],
)
def test_each_finding_has_its_sentence_in_both_languages(
    given: list[Sample], threshold: str | None, scalar: bool, chinese: str, english: str
) -> None:
    """Contract §3: 'Below a lower bound: `低于` for `超过`, `最低值` for `最高值`. … No threshold: `""`.'"""
    assert verdict(given, threshold, scalar=scalar).message == chinese
    assert verdict(given, threshold, scalar=scalar, locale=Locale.EN).message == english


@pytest.mark.parametrize(
    ("critical", "status", "message"),
    [
        ("90", ItemStatus.CRITICAL, "节点 b 的值 95.00 超过阈值 90.00"),
        ("99", ItemStatus.WARNING, "有 2 个节点超过阈值 80.00，最高值为 b 的 95.00"),
        ("<20", ItemStatus.CRITICAL, "节点 c 的值 10.00 低于阈值 20.00"),
    ],
)
def test_critical_precedes_threshold_and_the_sentence_is_about_the_deciding_one(
    critical: str, status: ItemStatus, message: str
) -> None:
    """Contract §3: '`threshold` gives `warning`, `critical` gives `critical`.'"""
    outcome = verdict(samples(("a", 85.0), ("b", 95.0), ("c", 10.0)), "80", critical)
    assert (outcome.status, outcome.reason, outcome.message) == (status, Reason.THRESHOLD_EXCEEDED, message)


def test_critical_alone_is_enough() -> None:
    assert verdict(ONE, None, "40").status is ItemStatus.CRITICAL
    within = verdict(ONE, None, "60")
    assert (within.status, within.message) == (ItemStatus.NORMAL, "所有节点的值都在阈值 60.00 范围内")


def test_within_every_threshold_is_normal_and_ok() -> None:
    outcome = verdict(THREE, "60", "70")
    assert (outcome.status, outcome.reason) == (ItemStatus.NORMAL, Reason.OK)
    assert outcome.message == "所有节点的值都在阈值 60.00 范围内"
    assert outcome.details == "Query: q\nResult Type: vector"
    assert outcome.stats == {"series": 3, "exceeding": 0, "min": 5.0, "max": 50.0, "worst": 50.0}


def test_the_value_is_the_unrounded_text_of_the_first_sample() -> None:
    """Contract §3: '`value` is the backend's own text, not rounded: the first series''."""
    given = [
        Sample(instance="a", value=0.1, text="0.1000000000000000055"),
        Sample(instance="b", value=9.0, text="9"),
    ]
    assert verdict(given, "5").value == "0.1000000000000000055"


def test_below_a_limit_the_heading_says_so_and_the_lowest_is_first() -> None:
    assert verdict(THREE, "<10").details.endswith("\n\n低于阈值的节点：\na (5.00)\nc (7.00)")
    assert verdict(THREE, "<10", locale=Locale.EN).details.endswith(
        "\n\nNodes below the threshold:\na (5.00)\nc (7.00)"
    )


def test_outside_a_range_the_farthest_is_first_on_either_side() -> None:
    given = samples(("a", 5.0), ("b", 29.0), ("c", 15.0), ("d", 0.0))
    outcome = verdict(given, "10:20")
    assert outcome.details.endswith("\n\n超过阈值的节点：\nd (0.00)\nb (29.00)\na (5.00)")
    assert outcome.stats["worst"] == 0.0
    assert verdict(samples(("a", 5.0), ("d", 0.0)), "10:20").details.endswith(
        "\n\n低于阈值的节点：\nd (0.00)\na (5.00)"
    )


def test_ties_are_sorted_by_name() -> None:
    """Contract §3: 'worst first, ties by name'."""
    given = samples(("c", 90.0), ("a", 90.0), ("b", 95.0), ("aa", 90.0))
    assert verdict(given, "80").details.endswith("：\nb (95.00)\na (90.00)\naa (90.00)\nc (90.00)")


def test_series_with_one_instance_are_listed_separately() -> None:
    """Contract §3: 'Series that share an instance stay apart.'"""
    outcome = verdict(samples(("a", 90.0), ("a", 95.0), ("a", 90.0)), "80")
    assert outcome.details.endswith("：\na (95.00)\na (90.00)\na (90.00)")
    assert outcome.message == "有 3 个节点超过阈值 80.00，最高值为 a 的 95.00"


@pytest.mark.parametrize(
    ("count", "last"), [(100, "n-001 (1.00)"), (101, "另有 1 个未列出"), (5000, "另有 4900 个未列出")]
)
def test_a_hundred_are_named_and_the_others_counted(count: int, last: str) -> None:
    """Contract §3: 'at most 100 and then how many more'."""
    outcome = verdict(samples(*((f"n-{index:03}", float(index)) for index in range(1, count + 1))), "0")
    lines = outcome.details.split("\n")
    assert lines[3] == "超过阈值的节点："
    assert lines[4] == f"n-{count:03} ({count}.00)"
    assert lines[-1] == last
    assert len(lines) == 4 + 100 + (count > 100)


def test_a_scalar_has_no_list_of_nodes() -> None:
    assert verdict(samples(("", 50.0)), "40", scalar=True).details == "Query: q\nResult Type: scalar"


def test_a_single_series_without_labels_reads_as_a_scalar_but_is_listed() -> None:
    outcome = verdict(samples(("", 50.0)), "40")
    assert outcome.message == "值 50.00 超过阈值 40.00"
    assert outcome.details.endswith("\n\n超过阈值的节点：\n{} (50.00)")
    assert verdict(samples(("", 50.0)), "60").message == "值 50.00 在阈值 60.00 范围内"
    assert verdict(samples(("", 50.0), ("a", 1.0)), "40").message == "节点 {} 的值 50.00 超过阈值 40.00"


@pytest.mark.parametrize("threshold", [None, "80", "!=0", "~:10", "@1:2"])
@pytest.mark.parametrize("scalar", [False, True])
def test_nan_is_never_within_a_threshold(threshold: str | None, scalar: bool) -> None:
    """Contract §3: 'NaN never counts as within a threshold: `warning`/`not_a_number`.'"""
    outcome = verdict(samples(("a", math.nan)), threshold, scalar=scalar)
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert outcome.message == ("值不是数字（NaN）" if scalar else "节点 a 的值不是数字（NaN）")
    assert outcome.value == "nan"
    assert outcome.stats == {"series": 1, "exceeding": 0}


def test_one_nan_among_good_values_is_a_warning_that_names_it() -> None:
    outcome = verdict(samples(("a", 1.0), ("c", math.nan), ("b", math.nan)), "80", locale=Locale.EN)
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert outcome.message == "The values of 2 nodes are not numbers (NaN)"
    assert outcome.details == ("Query: q\nResult Type: vector\n\nNodes whose value is not a number (NaN):\nb\nc")
    assert outcome.stats == {"series": 3, "exceeding": 0, "min": 1.0, "max": 1.0, "worst": 1.0}


def test_a_breach_precedes_nan_which_details_still_names() -> None:
    outcome = verdict(samples(("a", math.nan), ("b", 99.0)), "80", "90")
    assert (outcome.status, outcome.reason) == (ItemStatus.CRITICAL, Reason.THRESHOLD_EXCEEDED)
    assert outcome.message == "节点 b 的值 99.00 超过阈值 90.00"
    assert outcome.details == (
        "Query: q\nResult Type: vector\n\n超过阈值的节点：\nb (99.00)\n\n值不是数字（NaN）的节点：\na"
    )


def test_infinities_compare_as_numbers_and_are_written_out() -> None:
    """Contract §3: '±Inf compare as numbers.'"""
    given = samples(("a", math.inf), ("b", 1.0), ("c", -math.inf))
    above = verdict(given, "80")
    assert above.message == "节点 a 的值 +Inf 超过阈值 80.00"
    assert above.stats == {"series": 3, "exceeding": 1, "min": "-Inf", "max": "+Inf", "worst": "+Inf"}
    below = verdict(given, "<0")
    assert below.message == "节点 c 的值 -Inf 低于阈值 0.00"
    assert below.stats["worst"] == "-Inf"
    assert verdict(given, "0:10").details.endswith("：\na (+Inf)\nc (-Inf)")
    assert verdict(samples(("a", math.inf)), "<0").status is ItemStatus.NORMAL
    assert encode(above)  # JSON throughout


def test_a_partial_response_is_never_normal() -> None:
    """Contract §3: 'A partial answer is `partial_response` and never `normal`.'"""
    outcome = verdict(ONE, "80", partial="vmstorage-2 不可用")
    assert (outcome.status, outcome.reason) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE)
    assert outcome.message == "返回的数据不完整：vmstorage-2 不可用"
    without = verdict(ONE, partial="why")
    assert (without.status, without.reason) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE)
    nothing = verdict([], "80", partial="why")
    assert (nothing.status, nothing.reason, nothing.value) == (ItemStatus.WARNING, Reason.PARTIAL_RESPONSE, "")


def test_a_breach_in_a_partial_response_keeps_its_status_and_sentence() -> None:
    outcome = verdict(ONE, "30", "40", partial="why", locale=Locale.EN)
    assert (outcome.status, outcome.reason) == (ItemStatus.CRITICAL, Reason.PARTIAL_RESPONSE)
    assert outcome.message == "The value 50.00 of node a exceeds the threshold 40.00"
    assert outcome.details == (
        "Query: q\nResult Type: vector\n\nNodes beyond the threshold:\na (50.00)\n\nThe answer is incomplete: why"
    )


def test_an_empty_result_is_not_normal() -> None:
    outcome = verdict([], "80")
    assert (outcome.status, outcome.reason, outcome.value) == (ItemStatus.WARNING, Reason.EMPTY_RESULT, "")
    assert outcome.stats == {"series": 0, "exceeding": 0}


def test_another_noun_replaces_node() -> None:
    """Contract §3, kubernetes: 'sentences as above with the kind for 节点'."""
    given = samples(("default/a", 5.0), ("default/b", 9.0))
    chinese = verdict(given, "1", noun="工作负载")
    assert chinese.message == "有 2 个工作负载超过阈值 1.00，最高值为 default/b 的 9.00"
    assert "\n\n超过阈值的工作负载：\n" in chinese.details
    english = verdict(given, "1", noun="workload", locale=Locale.EN)
    assert english.message == "2 workloads exceed the threshold 1.00; the highest value is 9.00 of default/b"
    assert "\n\nWorkloads beyond the threshold:\n" in english.details
    assert verdict(given, "10", noun="工作负载").message == "所有工作负载的值都在阈值 10.00 范围内"


@pytest.mark.parametrize("name", ["{v}", "{0}", "%s", "%(t)s", "{inst.__class__}", "{", "a\\b", "节点"])
def test_placeholders_in_a_name_are_not_replaced(name: str) -> None:
    assert verdict(samples((name, 50.0)), "40").message == f"节点 {name} 的值 50.00 超过阈值 40.00"
    assert f"\n{name} (50.00)" in verdict(samples((name, 50.0)), "40").details


def test_a_negative_zero_is_a_zero() -> None:
    outcome = verdict(samples(("a", -0.0)), ">=0")
    assert outcome.message == "节点 a 的值 0.00 超过阈值 0.00"
    assert math.copysign(1, float(str(outcome.stats["min"]))) == 1.0


def test_samples_may_come_from_an_iterator() -> None:
    outcome = judge(
        iter(THREE), scalar=False, threshold=Threshold.parse("6"), locale=Locale.EN, head=["only"], critical=None
    )
    assert outcome.details == "only\n\nNodes beyond the threshold:\nb (50.00)\nc (7.00)"


@pytest.mark.parametrize("threshold", ["0", "<1e9", "100:200", "!=-1"])
def test_two_hundred_thousand_series_take_little_more_memory(threshold: str) -> None:
    """Contract §7: '200 000 series fit ... at these the process stays below 400 MB'."""
    given = samples(*((f"node-{index:06}", float(index)) for index in range(200_000)))
    tracemalloc.start()
    try:
        outcome = verdict(given, threshold, "-1:300000")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.stats["series"] == 200_000
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(("values", "worst"), [((11.0, 15.0), 11.0), ((15.0, 19.5), 19.5), ((12.0, 18.0), 18.0)])
def test_of_good_values_within_a_range_the_nearest_to_an_end_is_the_worst(
    values: tuple[float, float], worst: float
) -> None:
    """Contract §3: "`stats` has `series`, `exceeding`, `min`, `max`, `worst`"."""
    given = samples(*zip("ab", values, strict=True))
    assert verdict(given, "10:20").stats["worst"] == worst
