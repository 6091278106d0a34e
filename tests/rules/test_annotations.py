"""The annotations that the core keeps in a rule's object."""

from __future__ import annotations

from typing import Any

from candy_core.rules.annotations import spec_hash

ONE: dict[str, Any] = {"name": "one", "rules": [{"record": "a", "expr": "1"}, {"record": "b", "expr": "2"}]}
TWO: dict[str, Any] = {"name": "two", "rules": [{"record": "c", "expr": "3"}]}


def test_the_order_of_the_groups_does_not_matter() -> None:
    """Contract §5: drift is a spec that differs; an API server keeps VMRule's groups by name, in any order."""
    assert spec_hash([ONE, TWO]) == spec_hash([TWO, ONE])


def test_the_order_of_the_rules_in_a_group_matters() -> None:
    # A recording rule may use the result of the one before it.
    assert spec_hash([ONE]) != spec_hash([{**ONE, "rules": ONE["rules"][::-1]}])
    assert spec_hash([ONE, TWO]) != spec_hash([ONE]) != spec_hash([TWO])
