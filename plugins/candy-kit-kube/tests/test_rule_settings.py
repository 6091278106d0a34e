"""Invalid labels are rejected with the settings, and not with the first rule."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import Invalid, params_reader
from candy_kit_kube import RuleObjectSettings


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
def test_labels_that_kubernetes_rejects_are_rejected(labels: Any) -> None:
    with pytest.raises(Invalid, match="expected labels"):
        params_reader.read({"labels": labels}, RuleObjectSettings)


def test_the_managed_by_label_may_not_be_set() -> None:
    with pytest.raises(Invalid, match="managed-by"):
        params_reader.read({"labels": {"app.kubernetes.io/managed-by": "me"}}, RuleObjectSettings)


@pytest.mark.parametrize("labels", [{}, {"release": "stack"}, {"example.com/team": ""}, {"A_b.c-d": "1.2_x-Y"}])
def test_valid_labels_are_accepted(labels: Any) -> None:
    assert params_reader.read({"labels": labels}, RuleObjectSettings).labels == labels
