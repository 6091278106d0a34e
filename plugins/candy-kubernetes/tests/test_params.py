"""What an item may be told (contract §1 and §3)."""

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
    assert (pods.scope(), str(pods.threshold), str(pods.critical)) == ("shop", "2", ">=5")
    assert pods.grace is not None
    assert (pods.grace.seconds, pods.restarts) == (300.0, 3)
    assert read(check="nodes", cordoned="true").cordoned is True
    assert read(check="certificates", days="14.5").days == 14.5
    assert read(check="events", age="600").age == Span("600", 600.0)


def test_an_empty_namespace_is_all_of_them() -> None:
    assert read(check="pods", namespace="").scope() is None
    assert list_key(read(check="pods", namespace="")) == list_key(read(check="pods"))


@pytest.mark.parametrize(
    ("params", "told"),
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
        ({"check": "nodes", "restarts": "3"}, "expected restarts beside the check pods only"),
        ({"check": "pods", "days": "3"}, "expected days beside the check certificates only"),
        ({"check": "workloads", "grace": "1m"}, "expected grace beside the check pods or volumes only"),
    ],
)
def test_what_cannot_be_read_is_refused_and_named(params: dict[str, Any], told: str) -> None:
    """Contract §1: "Unknown keys in a request are an error that names them"."""
    with pytest.raises(Invalid) as refused:
        read(**params)
    assert told in str(refused.value)


@given(st.integers(min_value=0, max_value=10**9))
def test_an_age_is_never_more_than_what_has_passed(seconds: int) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    told, total, digits = age(seconds), 0, ""
    for letter in told:
        if letter.isdigit():
            digits += letter
        else:
            total += int(digits) * units[letter]
            digits = ""
    assert 0 <= seconds - total < max(1, seconds * 0.05)


@pytest.mark.parametrize("text", ["0", "0s", "00", "0.0", "5m", "1h30m", "90"])
def test_a_span_is_written_as_prometheus_does_or_in_seconds(text: str) -> None:
    assert Span.parse(text).seconds == {"5m": 300, "1h30m": 5400, "90": 90}.get(text, 0)
