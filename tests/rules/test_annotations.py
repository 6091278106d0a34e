"""What the core keeps in an object's annotations."""

from __future__ import annotations

from typing import Any

from candy_core.rules.annotations import spec_hash

ONE: dict[str, Any] = {"name": "one", "rules": [{"record": "a", "expr": "1"}, {"record": "b", "expr": "2"}]}
TWO: dict[str, Any] = {"name": "two", "rules": [{"record": "c", "expr": "3"}]}


def test_the_order_in_which_a_server_keeps_the_groups_is_no_change() -> None:
    """Contract §5: drift is a spec that differs; VMRule's groups are kept by name, in the order that was there."""
    assert spec_hash([ONE, TWO]) == spec_hash([TWO, ONE])


def test_the_order_of_a_groups_rules_is_part_of_it() -> None:
    # A recording rule may read what the one before it has written.
    assert spec_hash([ONE]) != spec_hash([{**ONE, "rules": ONE["rules"][::-1]}])
    assert spec_hash([ONE, TWO]) != spec_hash([ONE]) != spec_hash([TWO])
