"""The params of an item (contract §1 and §3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Invalid, params_reader
from candy_kubernetes.params import KubernetesParams, list_key
from candy_kubernetes.span import Span, age


def read(**params: Any) -> KubernetesParams:
    return params_reader.read(params, KubernetesParams)


def test_every_value_may_be_a_string() -> None:
    """Contract §1: "Item `params` are `string → string` for the callers that exist today"."""
    pods = read(check="pods", namespace="shop", threshold="2", critical=">=5", grace="5m", restarts="3")
    assert (pods.selected_namespace(), str(pods.threshold), str(pods.critical)) == ("shop", "2", ">=5")
    assert pods.grace is not None
    assert (pods.grace.seconds, pods.restarts) == (300.0, 3)
    assert read(check="nodes", cordoned="true").cordoned is True
    assert read(check="certificates", days="14.5").days == 14.5
    assert read(check="events", age="600").age == Span("600", 600.0)


def test_an_empty_namespace_is_all_of_them() -> None:
    assert read(check="pods", namespace="").selected_namespace() is None
    assert list_key(read(check="pods", namespace="")) == list_key(read(check="pods"))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "check"),
        ({"check": "ponds"}, "expected one of nodes, pods, workloads, services, volumes, events, certificates"),
        ({"check": "pods", "namespaces": "a"}, "namespaces"),
        ({"check": "pods", "namespace": "../../secrets"}, "namespace"),
        ({"check": "pods", "namespace": "a\n"}, "namespace"),
        ({"check": "pods", "label_selector": "app=shop\0,tier=web"}, "label_selector"),
        ({"check": "pods", "threshold": "many"}, "threshold"),
        ({"check": "pods", "critical": "nan"}, "critical"),
        ({"check": "pods", "restarts": "-1"}, "restarts"),
        ({"check": "pods", "grace": "soon"}, "grace"),
        ({"check": "nodes", "namespace": "shop"}, "expected no namespace"),
        ({"check": "nodes", "restarts": "3"}, "expected restarts only with the check pods"),
        ({"check": "pods", "days": "3"}, "expected days only with the check certificates"),
        ({"check": "workloads", "grace": "1m"}, "expected grace only with the check pods or volumes"),
    ],
)
def test_an_invalid_param_is_rejected_and_named(params: dict[str, Any], expected: str) -> None:
    """Contract §1: "Unknown keys in a request are an error that names them"."""
    with pytest.raises(Invalid) as caught:
        read(**params)
    assert expected in str(caught.value)


@given(st.integers(min_value=0, max_value=10**9))
def test_an_age_is_rounded_down(seconds: int) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    total, digits = 0, ""
    for letter in age(seconds):
        if letter.isdigit():
            digits += letter
        else:
            total += int(digits) * units[letter]
            digits = ""
    assert 0 <= seconds - total < max(1, seconds * 0.05)


@pytest.mark.parametrize("text", ["0", "0s", "00", "0.0", "5m", "1h30m", "90"])
def test_a_span_is_a_prometheus_duration_or_seconds(text: str) -> None:
    assert Span.parse(text).seconds == {"5m": 300, "1h30m": 5400, "90": 90}.get(text, 0)
