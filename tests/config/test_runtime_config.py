"""Contract §6: "flat object of what may change at run time (…); all or nothing, applied at once.\""""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Invalid
from candy_core.config.runtime import RuntimeConfig, RuntimeSettings
from candy_core.config.settings import LogLevel, Settings


def new() -> tuple[RuntimeConfig, list[RuntimeSettings]]:
    runtime = RuntimeConfig.of(Settings())
    received: list[RuntimeSettings] = []
    runtime.subscribe(received.append)
    return runtime, received


def test_the_agent_starts_with_its_settings() -> None:
    runtime = RuntimeConfig.of(Settings(heartbeat_interval=7, max_running_tasks=3))
    assert attrs.asdict(runtime.current) == {
        "heartbeat_interval": 7,
        "log_level": LogLevel.INFO,
        "max_concurrent": 128,
        "max_concurrent_per_executor": 32,
        "max_running_tasks": 3,
    }


def test_changes_are_applied_at_once_and_subscribers_are_called() -> None:
    runtime, received = new()
    answer = runtime.apply({"log_level": "debug", "heartbeat_interval": "5"})
    assert (answer.log_level, answer.heartbeat_interval, answer.max_concurrent) == (LogLevel.DEBUG, 5, 128)
    assert runtime.current is answer
    assert received == [answer]


def test_without_a_change_no_subscriber_is_called() -> None:
    runtime, received = new()
    runtime.apply({})
    runtime.apply({"heartbeat_interval": 30})
    assert received == []


def test_one_wrong_value_changes_nothing_and_every_problem_is_named() -> None:
    runtime, received = new()
    before = runtime.current
    with pytest.raises(Invalid) as caught:
        runtime.apply({"heartbeat_interval": 5, "log_level": "LOUD", "max_concurent": 1, "max_running_tasks": 0})
    assert sorted((problem.path, problem.message.split(";")[0]) for problem in caught.value.problems) == [
        ("$.log_level", "expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("$.max_concurent", "unknown key"),
        ("$.max_running_tasks", "expected at least 1 and at most 10000"),
    ]
    assert "did you mean max_concurrent?" in str(caught.value)
    assert runtime.current is before
    assert received == []


@pytest.mark.parametrize("changes", [None, [], "x", 5, True])
def test_anything_but_an_object_changes_nothing(changes: Any) -> None:
    runtime, _ = new()
    with pytest.raises(Invalid, match="expected an object"):
        runtime.apply(changes)


@pytest.mark.parametrize("key", ["listen", "api_key", "server_url", "plugins_blocked"])
def test_other_settings_cannot_be_changed(key: str) -> None:
    runtime, _ = new()
    with pytest.raises(Invalid, match="unknown key"):
        runtime.apply({key: "x"})


def test_an_unsubscribed_function_is_not_called() -> None:
    runtime, received = new()
    others: list[RuntimeSettings] = []
    unsubscribe = runtime.subscribe(others.append)
    runtime.apply({"max_running_tasks": 1})
    unsubscribe()
    unsubscribe()
    runtime.apply({"max_running_tasks": 2})
    assert len(received) == 2
    assert len(others) == 1


@given(
    st.dictionaries(st.sampled_from([*attrs.fields_dict(RuntimeSettings), "x"]), st.integers() | st.text() | st.none())
)
def test_no_change_is_half_applied(changes: dict[str, Any]) -> None:
    runtime, received = new()
    before = runtime.current
    try:
        after = runtime.apply(changes)
    except Invalid:
        assert runtime.current is before
        assert received == []
    else:
        assert "x" not in changes
        assert received == ([after] if after != before else [])
