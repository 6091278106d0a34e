"""Properties of every verdict."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from candy_core import Breach, ItemStatus, Locale, Outcome, Reason, Sample, Threshold, encode, judge

thresholds = st.sampled_from(
    ["0", "50", ">=50", "<50", "<=-1", "==0", "!=0", "10:20", "-5:5", "10:", "~:10", ":20", "@10:20", "@5:", "1e300"]
).map(Threshold.parse)
values = st.one_of(
    st.floats(),  # with NaN and infinities
    st.integers(-60, 60).map(float),
    st.sampled_from([0.0, -0.0, 10.0, 20.0, 50.0, math.nan, math.inf, -math.inf]),
)
sample = st.builds(
    lambda name, value: Sample(instance=name, value=value, text=repr(value)),
    st.sampled_from(["", "a", "b", "c"]),
    values,
)
cases = st.lists(sample, max_size=12)


def verdict(given_: list[Sample], threshold: Threshold | None, critical: Threshold | None, locale: Locale) -> Outcome:
    return judge(given_, scalar=False, threshold=threshold, critical=critical, locale=locale, head=["Query: q"])


@settings(deadline=None)  # the machine may be busy
@given(
    cases.flatmap(lambda case: st.tuples(st.just(case), st.permutations(case))),
    st.none() | thresholds,
    st.none() | thresholds,
    st.sampled_from(Locale),
)
def test_the_order_of_the_samples_changes_only_the_value(
    orders: tuple[list[Sample], list[Sample]], threshold: Threshold | None, critical: Threshold | None, locale: Locale
) -> None:
    one, other = (verdict(order, threshold, critical, locale) for order in orders)
    assert (one.status, one.reason, one.message, one.details) == (
        other.status,
        other.reason,
        other.message,
        other.details,
    )
    assert encode(one.stats) == encode(other.stats)
    assert one.value == (orders[0][0].text if orders[0] else "")
    assert other.value == (orders[1][0].text if orders[1] else "")


@settings(deadline=None)  # the machine may be busy
@given(cases, st.none() | thresholds, st.none() | thresholds)
def test_the_status_follows_from_the_samples(
    case: list[Sample], threshold: Threshold | None, critical: Threshold | None
) -> None:
    def breaching(limit: Threshold | None) -> list[float]:
        return [] if limit is None else [s.value for s in case if limit.breach(s.value) is not None]

    outcome = verdict(case, threshold, critical, Locale.ZH_CN)
    if breaching(critical):
        expected, count = (ItemStatus.CRITICAL, Reason.THRESHOLD_EXCEEDED), len(breaching(critical))
    elif breaching(threshold):
        expected, count = (ItemStatus.WARNING, Reason.THRESHOLD_EXCEEDED), len(breaching(threshold))
    elif not case:
        expected, count = (ItemStatus.WARNING, Reason.EMPTY_RESULT), 0
    elif any(math.isnan(s.value) for s in case):
        expected, count = (ItemStatus.WARNING, Reason.NOT_A_NUMBER), 0
    else:
        expected, count = (ItemStatus.NORMAL, Reason.OK), 0
    assert (outcome.status, outcome.reason) == expected
    assert outcome.stats["exceeding"] == count
    assert outcome.stats["series"] == len(case)


@settings(deadline=None)  # the machine may be busy
@given(cases, thresholds)
def test_the_figures_are_those_of_the_samples_that_are_numbers(case: list[Sample], threshold: Threshold) -> None:
    stats = verdict(case, threshold, None, Locale.EN).stats
    numbers = [s.value for s in case if not math.isnan(s.value)]
    if not numbers:
        assert set(stats) == {"series", "exceeding"}
        return
    low, high, worst = (float(str(stats[key])) for key in ("min", "max", "worst"))
    assert (low, high) == (min(numbers), max(numbers))
    assert worst in numbers
    beyond = [value for value in numbers if threshold.breach(value) is not None]
    if beyond:
        assert worst in beyond
        sides = {threshold.breach(value) for value in beyond}
        if sides == {Breach.BELOW}:
            assert worst == min(beyond)
        elif len(sides) == 1:
            assert worst == max(beyond)
        else:
            assert worst in (min(beyond), max(beyond))


@settings(deadline=None)  # the machine may be busy
@given(cases, thresholds, st.sampled_from(Locale))
def test_details_name_each_sample_that_exceeds_once(case: list[Sample], threshold: Threshold, locale: Locale) -> None:
    outcome = verdict(case, threshold, None, locale)
    blocks = outcome.details.split("\n\n")
    assert blocks.pop(0) == "Query: q"
    if outcome.stats["exceeding"]:
        _, *lines = blocks.pop(0).split("\n")
        named = sorted(line.split(" ")[0] for line in lines)
        assert named == sorted(s.instance or "{}" for s in case if threshold.breach(s.value) is not None)
    nans = sorted(s.instance or "{}" for s in case if math.isnan(s.value))
    if nans:
        assert blocks.pop(0).split("\n")[1:] == nans
    assert not blocks


@settings(deadline=None)  # the machine may be busy
@given(cases, st.none() | thresholds, st.none() | thresholds, st.booleans())
def test_a_partial_response_is_at_least_as_bad_as_a_complete_one(
    case: list[Sample], threshold: Threshold | None, critical: Threshold | None, scalar: bool
) -> None:
    ranks = [ItemStatus.NORMAL, ItemStatus.WARNING, ItemStatus.CRITICAL]
    whole = judge(case, scalar=scalar, threshold=threshold, critical=critical, locale=Locale.EN, head=[])
    part = judge(
        case, scalar=scalar, threshold=threshold, critical=critical, locale=Locale.EN, head=[], partial="half is gone"
    )
    assert part.reason == Reason.PARTIAL_RESPONSE
    assert ranks.index(part.status) == max(1, ranks.index(whole.status))
    assert "half is gone" in part.message + part.details
