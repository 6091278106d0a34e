"""Quantities as Kubernetes writes them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from candy_kubernetes.quantity import quantity

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2", "e+1"]


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=3),
    st.sampled_from(SUFFIXES),
)
def test_a_quantity_has_the_value_of_the_kubernetes_client(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    found = quantity(text)
    assert found is not None
    theirs: Decimal = parse_quantity(text)  # type: ignore[no-untyped-call]
    assert math.isclose(found, float(theirs), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("text", "number"),
    [("100m", 0.1), ("1Ki", 1024), ("1e3", 1000), ("12E", 12e18), ("1E3", 1000), (".5", 0.5), ("5.", 5), (4, 4)],
)
def test_all_notations(text: str | int, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize(
    "text", ["", "m", "1ki", "1mi", "1 Gi", "NaN", "Infinity", "1KI", "0x10", "1e999", "٣", None, True, {}, "9" * 65]
)
def test_an_invalid_quantity_is_none(text: object) -> None:
    assert quantity(text) is None  # type: ignore[arg-type]  # another server may send anything


@given(st.text())
def test_any_text_is_a_finite_number_or_none(text: str) -> None:
    found = quantity(text)
    assert found is None or math.isfinite(found)
