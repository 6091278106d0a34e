"""Records to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from attrs import Factory, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from candy_core import Secret, encode, loads, to_json
from candy_core.codec import request_reader, rfc3339
from candy_core.config.settings import Address, ByteSize
from candy_core.model.http_url import HttpUrl
from candy_core.model.task import (
    Callback,
    Event,
    ItemRequest,
    ItemStatus,
    Locale,
    LogEntry,
    Progress,
    TaskLog,
    TaskRequest,
    TaskState,
    TaskStatus,
)


@frozen(kw_only=True)
class Everything:
    secret: Secret | None = field(factory=lambda: Secret("hunter2"))
    none: Secret | None = None
    empty: Secret = field(factory=lambda: Secret(""))
    by_name: Mapping[str, Secret] = Factory(lambda: {"a": Secret("hunter2")})
    several: tuple[Secret, ...] = (Secret("hunter2"),)
    address: Address = field(factory=lambda: Address("::1", 1))
    size: ByteSize = field(factory=lambda: ByteSize(2048))
    url: HttpUrl | None = field(factory=lambda: HttpUrl("http://x"))
    path: Path | None = Path("/a")
    words: frozenset[str] = frozenset({"b", "a"})
    status: ItemStatus = ItemStatus.NORMAL
    moment: datetime = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    for_: str = "5m"


def test_every_kind_of_value_is_written_as_json_and_secrets_masked() -> None:
    text = encode(Everything())
    assert b"hunter2" not in text
    assert loads(text) == {
        "secret": "******",
        "none": None,
        "empty": "",
        "by_name": {"a": "******"},
        "several": ["******"],
        "address": "[::1]:1",
        "size": "2KiB",
        "url": "http://x",
        "path": "/a",
        "words": ["a", "b"],
        "status": "normal",
        "moment": "2024-01-02T03:04:05.678Z",
        "for": "5m",
    }


def test_times_are_rfc3339_in_utc_with_z() -> None:
    """Contract §1: "Times are RFC 3339 in UTC with `Z`.\""""
    shanghai = timezone(timedelta(hours=8))
    assert rfc3339(datetime(2024, 1, 2, 8, 0, 0, tzinfo=shanghai)) == "2024-01-02T00:00:00Z"
    assert rfc3339(datetime(2024, 1, 2, 8, 0, 0, 5000, tzinfo=shanghai)) == "2024-01-02T00:00:00.005Z"


def test_unknown_times_are_null_and_may_be_left_out_at_every_depth() -> None:
    """Contract §1: "Unknown times are `null`.\""""
    state = TaskState(
        task_id="t",
        status=TaskStatus.PENDING,
        message="",
        start_time=None,
        end_time=None,
        priority=5,
        progress=Progress(total=1),
    )
    written: Any = to_json(state)
    assert written["start_time"] is None
    assert written["status"] == "pending"
    assert "start_time" not in str(to_json(state, drop_none=True))
    log = TaskLog(
        task_id="t", dropped=0, entries=(LogEntry(time=datetime(2024, 1, 1, tzinfo=UTC), level="info", event="e"),)
    )
    assert to_json(log, drop_none=True) == {
        "task_id": "t",
        "dropped": 0,
        "entries": [{"time": "2024-01-01T00:00:00Z", "level": "info", "event": "e", "detail": ""}],
    }


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_params = st.dictionaries(st.text(), _json, max_size=3)
_timeouts = st.floats(min_value=0, max_value=86400, exclude_min=True)
_items = st.builds(
    ItemRequest,
    id=st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=128),
    type=st.text(),
    name=st.text(),
    params=_params,
    timeout=st.none() | _timeouts,
    retries=st.integers(0, 10),
)
_tasks = st.builds(
    TaskRequest,
    items=st.lists(_items, min_size=1, max_size=4).map(tuple),
    task_id=st.none() | st.from_regex(r"[A-Za-z0-9_:-]{1,128}", fullmatch=True),
    timeout=_timeouts,
    priority=st.integers(0, 9),
    locale=st.sampled_from(Locale),
    callback=st.none()
    | st.builds(
        Callback,
        url=st.none() | st.text(),
        headers=st.dictionaries(st.text(), st.text(), max_size=2),
        params=st.none() | _params,
        events=st.lists(st.sampled_from(Event), max_size=3).map(tuple),
    ),
)


@given(_tasks)
def test_a_record_survives_a_round_trip(task: TaskRequest) -> None:
    assert request_reader.read(loads(encode(task)), TaskRequest) == task
