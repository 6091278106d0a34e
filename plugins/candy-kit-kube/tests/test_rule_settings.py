"""Labels of objects that no cluster would take are refused with the settings, and not with the first rule."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import Invalid, params_reader
from candy_kit_kube.rule_settings import RuleObjectSettings


@pytest.mark.parametrize(
    "labels",
    [
        {"a b": "c"},
        {"a": "not a value"},
        {"-a": "b"},
        {"a": "b" * 64},
        {"Upper.example/a": "b"},
        {"/a": "b"},
        {"": "b"},
    ],
)
def test_labels_that_kubernetes_refuses_are_refused(labels: Any) -> None:
    with pytest.raises(Invalid, match="expected labels"):
        params_reader.read({"labels": labels}, RuleObjectSettings)


def test_the_label_that_says_who_keeps_an_object_is_not_for_the_settings() -> None:
    with pytest.raises(Invalid, match="managed-by"):
        params_reader.read({"labels": {"app.kubernetes.io/managed-by": "me"}}, RuleObjectSettings)


@pytest.mark.parametrize("labels", [{}, {"release": "stack"}, {"example.com/team": ""}, {"A_b.c-d": "1.2_x-Y"}])
def test_labels_that_kubernetes_takes_are_taken(labels: Any) -> None:
    assert params_reader.read({"labels": labels}, RuleObjectSettings).labels == labels
