"""The language of thresholds."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from candy_core import Breach, Invalid, Threshold, params_reader, to_json

numbers = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr),
    st.decimals(-1000, 1000, places=2).map(str),
    st.sampled_from(["0", "-0", "+5", ".5", "5.", "1e3", "1E-3", "-2.5e+2", "80.0"]),
)
values = st.one_of(st.floats(allow_nan=False), st.integers(-1000, 1000).map(float))
gaps = st.sampled_from(["", " ", "  ", "\t"])

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "": operator.gt,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@settings(deadline=None)  # the machine may be busy
@given(sign=st.sampled_from(sorted(COMPARISONS)), number=numbers, gap=gaps, value=values)
def test_a_comparison_is_breached_exactly_when_it_holds(sign: str, number: str, gap: str, value: float) -> None:
    """Contract §3: 'A threshold is one of … a number (exceeded when the value is **greater**), … a comparison'."""
    threshold = Threshold.parse(f"{sign}{gap}{number}")
    for candidate in (value, float(number), math.nextafter(float(number), math.inf), -math.inf, math.inf):
        assert (threshold.breach(candidate) is not None) == COMPARISONS[sign](candidate, float(number))


@settings(deadline=None)  # the machine may be busy
@given(inside=st.booleans(), start=st.none() | st.just("~") | numbers, end=st.none() | numbers, gap=gaps, value=values)
def test_a_range_is_breached_outside_or_with_an_at_sign_inside(
    inside: bool, start: str | None, end: str | None, gap: str, value: float
) -> None:
    """Contract §3: 'a Nagios range (`10:20` outside is bad, `@10:20` inside is bad)'."""
    text = f"{'@' if inside else ''}{start or ''}{gap}:{gap}{end or ''}"
    low = -math.inf if start == "~" else float(start or "0")
    high = math.inf if end is None else float(end)
    if (start in (None, "~") and end is None) or low > high:
        with pytest.raises(ValueError, match="expected a number"):
            Threshold.parse(text)
        return
    threshold = Threshold.parse(text)
    for candidate in (value, low, high):
        expected = (low <= candidate <= high) if inside else not (low <= candidate <= high)
        breach = threshold.breach(candidate)
        assert (breach is not None) == expected
        if expected:
            assert breach is (Breach.OTHER if inside else Breach.ABOVE if candidate > high else Breach.BELOW)


@settings(deadline=None)  # the machine may be busy
@given(text=st.text(alphabet="0123456789.+-eE<>=!~:@ \tnaif,x%", max_size=12))
def test_a_threshold_keeps_its_text_and_survives_a_round_trip(text: str) -> None:
    try:
        threshold = Threshold.parse(text)
    except ValueError:
        return
    assert str(threshold) == threshold.text == text.strip(" \t")
    assert Threshold.parse(str(threshold)) == threshold
    assert hash(Threshold.parse(str(threshold))) == hash(threshold)


@pytest.mark.parametrize(
    ("text", "value", "breach"),
    [
        ("80", 80.0, None),
        ("80", 80.1, Breach.ABOVE),
        ("80", -5.0, None),  # Nagios would alert: its 80 is 0:80
        (">80", 81.0, Breach.ABOVE),
        (">=80", 80.0, Breach.ABOVE),
        ("<10", 9.9, Breach.BELOW),
        ("<10", 10.0, None),
        ("<=10", 10.0, Breach.BELOW),
        ("==0", 0.0, Breach.OTHER),
        ("= 0", -0.0, Breach.OTHER),
        ("!=0", 0.0, None),
        ("!= 0", 3.0, Breach.OTHER),
        ("10:20", 9.0, Breach.BELOW),
        ("10:20", 21.0, Breach.ABOVE),
        ("10:", 9.0, Breach.BELOW),
        ("10:", math.inf, None),
        ("~:10", -math.inf, None),
        ("~:10", 11.0, Breach.ABOVE),
        (":20", -1.0, Breach.BELOW),
        (":20", 21.0, Breach.ABOVE),
        ("@10:20", 10.0, Breach.OTHER),
        ("@10:20", 20.0, Breach.OTHER),
        ("@10:20", 21.0, None),
        ("@20", 0.0, Breach.OTHER),
        ("@20", -1.0, None),
        ("@10:", math.inf, Breach.OTHER),
        ("@~:10", -math.inf, Breach.OTHER),
        ("5:5", 5.0, None),
        ("-20:-10", -15.0, None),
        (" @ 10 : 20 ", 15.0, Breach.OTHER),
    ],
)
def test_each_form_has_its_direction(text: str, value: float, breach: Breach | None) -> None:
    assert Threshold.parse(text).breach(value) is breach


@pytest.mark.parametrize("text", ["80", ">=80", "<10", "<=10", "==0", "!=0", "10:20", "10:", "~:10", "@10:20"])
def test_nan_breaches_no_threshold(text: str) -> None:
    assert Threshold.parse(text).breach(math.nan) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "eighty",
        "80%",
        "80 MB",
        "nan",
        "NaN",
        "inf",
        "+Inf",
        ">Infinity",
        "1e999",
        "10:1e999",
        "0x50",
        "1_000",
        "80,5",
        "1,000",
        "８０",
        "٨٠",
        "≥80",
        "> =80",
        "=>80",
        "<>80",
        "!80",
        ">",
        ">80 <90",
        "80\n",
        "8 0",
        "1 e3",
        "1e",
        ".",
        "-",
        "--5",
        ":",
        "~:",
        "@",
        "@:",
        "@~:",
        "~",
        "~10",
        "20:10",
        ":-1",
        "10:~",
        "10:20:30",
        "@@10:20",
        "10:@20",
        ">10:20",
        "1" * 65,
        "\u00a080",
        "80\x00",
    ],
)
def test_an_invalid_threshold_is_rejected_with_what_is_allowed(text: str) -> None:
    """Contract §3: 'What cannot be read as one of these is `bad_params`, never ignored.'"""
    with pytest.raises(ValueError, match="expected a number") as caught:
        Threshold.parse(text)
    message = str(caught.value)
    assert "10:20" in message
    assert ">=80" in message
    assert not text.strip() or len(text) < 5 or text not in message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("80", "80.00"),
        ("80.456", "80.46"),
        (">80", "80.00"),
        (">= 80", "80.00"),
        ("<10", "10.00"),
        ("<=10.5", "10.50"),
        ("1e3", "1000.00"),
        ("==0", "==0"),
        ("!= 0", "!= 0"),
        ("10:20", "10:20"),
        ("~:10", "~:10"),
        ("@10:20", "@10:20"),
    ],
)
def test_sentences_show_the_number_of_a_comparison_and_the_text_of_others(text: str, shown: str) -> None:
    """Contract §3: '`{t}` is `%.2f` for a plain number and for `>`/`>=`/`<`/`<=` (the number alone), else as
    written.'"""
    assert Threshold.parse(text).shown == shown


@frozen(kw_only=True)
class Params:
    threshold: Threshold | None = None


@pytest.mark.parametrize(("given_", "text"), [("80", "80"), (80, "80"), (80.5, "80.5"), (">=80", ">=80")])
def test_params_take_a_threshold_as_a_string_or_a_number(given_: str | float, text: str) -> None:
    params = params_reader.read({"threshold": given_}, Params)
    assert params.threshold == Threshold.parse(text)
    assert to_json(params) == {"threshold": text}


@pytest.mark.parametrize("given_", ["", "high", True, [80], {"text": "80"}])
def test_an_invalid_threshold_in_params_names_the_field(given_: object) -> None:
    """Contract §3: 'What cannot be read as one of these is `bad_params`, never ignored.'"""
    with pytest.raises(Invalid) as caught:
        params_reader.read({"threshold": given_}, Params)  # type: ignore[dict-item]  # what no Json should be, too
    assert [problem.path for problem in caught.value.problems] == ["$.threshold"]
