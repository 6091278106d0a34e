"""The name of the object that stores a rule."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_kube import object_name

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""The expression in the API server's error message for an invalid name."""


def hashed(name: str) -> str:
    return "rule-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("HighCPUUsage", "highcpuusage"),
        ("High CPU usage!", "high-cpu-usage"),
        ("node_cpu::rate5m", "node-cpu-rate5m"),
        ("--a--", "a"),
        ("a--b", "a--b"),
        ("kube-prometheus.node.rules", "kube-prometheus.node.rules"),
        ("Node.Rules", "node.rules"),
        ("Node..Rules", "node-rules"),
        ("a.-b", "a-b"),
        ("节点 CPU 高", "cpu"),
        ("节点宕机", hashed("节点宕机")),
        ("", hashed("")),
        ("---", hashed("---")),
        ("../../x", "x"),
        ("a" * 253, "a" * 253),
        ("A" * 254, hashed("A" * 254)),
        ("é" * 300 + "a", "a"),
        ("x" * 252 + ". y", hashed("x" * 252 + ". y")),
        ("\ud800", hashed("\ud800")),
    ],
)
def test_object_name_is_lower_case_with_a_dash_for_each_run_of_other_characters(name: str, expected: str) -> None:
    """Contract §5: lower-case, each run of other characters a `-`, trimmed; nothing left: `rule-` + 8 hex."""
    assert object_name(name) == expected


@given(st.text() | st.text("aZ0.-_ ", max_size=300) | st.from_regex(SUBDOMAIN, fullmatch=True))
def test_object_name_is_always_valid(name: str) -> None:
    """RFC 1123, section 2.1: a subdomain; Kubernetes: of at most 253 characters."""
    made = object_name(name)
    assert len(made) <= 253
    assert SUBDOMAIN.fullmatch(made)
    assert object_name(made) == made
    if len(name) <= 253 and SUBDOMAIN.fullmatch(name):
        assert made == name, "an object created by another client is found under its own name"
