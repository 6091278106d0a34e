"""The readers reject what cattrs would accept by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

import attrs
import pytest
from attrs import Factory, field, frozen

from candy_core import Invalid, Meta, Mismatch, Problem, Secret, params_reader, tolerant_reader
from candy_core.codec import Reader, request_reader
from candy_core.model.task import TASK_ID_PATTERN, Json, TaskRequest

ALL = pytest.mark.parametrize(
    "reader", [request_reader, params_reader, tolerant_reader], ids=["request", "params", "tolerant"]
)


class Color(StrEnum):
    RED = "red"
    GREEN = "green"


class Number(IntEnum):
    ONE = 1


class Port(int):
    @classmethod
    def parse(cls, text: str) -> Port:
        if not text.isdigit():
            raise ValueError("expected a port")
        return cls(int(text))


class Shout(str):
    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Shout:
        return cls(text.upper())


@frozen
class Span:
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Span:
        start, dash, end = text.partition("-")
        if not (dash and start.isdigit() and end.isdigit()):
            raise ValueError("expected two numbers with a dash between them")
        return cls(int(start), int(end))

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


@frozen(kw_only=True)
class Inner:
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 22


@frozen(kw_only=True)
class Record:
    text: str = ""
    count: int = 0
    ratio: float = 0.0
    on: bool = False
    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    listed: list[str] = Factory(list)
    some: Sequence[str] = ()
    unique: frozenset[str] = frozenset()
    anything: tuple[Json, ...] = ()
    pair: tuple[str, int] = ("", 0)
    labels: Mapping[str, str] = Factory(dict)
    free: Mapping[str, Json] = Factory(dict)
    bare: dict = Factory(dict)  # type: ignore[type-arg]  # the class of a careless author
    colour: Color = Color.RED
    number: Number = Number.ONE
    literal: Literal["a", 1] = "a"
    moment: datetime | None = None
    id: int | str = 0
    item: int | Annotated[str, Meta(min_length=1)] = 0
    secret: Secret | None = None
    span: Span | None = None
    port: Port = Port(1)  # noqa: RUF009  # an immutable value
    shout: Shout = Shout("")  # noqa: RUF009  # an immutable value
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner] = Factory(dict)
    for_: str = "5m"
    named: str = field(default="", alias="other_name")


KEYS = ["for" if name == "for_" else "other_name" if name == "named" else name for name in attrs.fields_dict(Record)]


def problems(reader: Reader, value: Any, kind: type = Record) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        reader.read(value, kind)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@ALL
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("text", {"a": 1}, "expected a string"),
        ("text", ["a"], "expected a string"),
        ("text", 5, "expected a string"),
        ("text", None, "expected a string"),
        ("text", True, "expected a string"),
        ("count", 22.7, "expected an integer"),
        ("count", 22.0, "expected an integer"),
        ("count", True, "expected an integer"),
        ("count", False, "expected an integer"),
        ("count", "22.7", "expected an integer"),
        ("count", "", "expected an integer"),
        ("count", "１２", "expected an integer"),
        ("count", "1_000", "expected an integer"),
        ("count", "0x10", "expected an integer"),
        ("count", 2**63, "expected an integer of at most 64 bits"),
        ("count", -(2**63) - 1, "expected an integer of at most 64 bits"),
        ("ratio", True, "expected a number"),
        ("ratio", "nan", "expected a number"),
        ("ratio", "Infinity", "expected a number"),
        ("ratio", float("inf"), "expected a finite number"),
        ("ratio", float("nan"), "expected a finite number"),
        ("ratio", 10**400, "expected a finite number"),
        ("on", 1, "expected true or false"),
        ("on", 0, "expected true or false"),
        ("on", "maybe", "expected true or false"),
        ("on", "", "expected true or false"),
        ("on", [], "expected true or false"),
        ("words", 5, "expected a list"),
        ("words", {"a": 1}, "expected a list"),
        ("labels", ["a"], "expected an object"),
        ("labels", "a=b", "expected an object"),
        ("free", "x", "expected an object"),
        ("bare", "ab", "expected an object"),
        ("bare", [["a", 1]], "expected an object"),
        ("pair", ["a"], "expected a list of 2 element(s)"),
        ("pair", "ab", "expected a list of 2 element(s)"),
        ("colour", "blue", "expected one of red, green"),
        ("colour", ["red"], "expected one of red, green"),
        ("number", True, "expected one of 1"),
        ("number", 1.0, "expected one of 1"),
        ("literal", True, "expected one of a, 1"),
        ("moment", "yesterday", "expected a time in RFC 3339 format"),
        ("id", 1.5, "expected an integer or a string"),
        ("id", True, "expected an integer or a string"),
        ("id", None, "expected an integer or a string"),
        ("item", "", "expected at least 1 character(s)"),
        ("secret", 5, "expected a string"),
        ("span", "7", "expected two numbers with a dash between them"),
        ("span", True, "expected a string or a number"),
        ("span", {"start": 1, "end": 2}, "expected a string or a number"),
        ("port", "x", "expected a port"),
        ("inner", 5, "expected an object"),
        ("inners", {"host": "a"}, "expected a list"),
    ],
)
def test_a_value_of_another_type_is_rejected(reader: Reader, key: str, value: Any, message: str) -> None:
    assert problems(reader, {key: value}) == [(f"$.{key}", message)]


@pytest.mark.parametrize("reader", [request_reader, tolerant_reader], ids=["request", "tolerant"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("words", "rm -rf"),
        ("words", '["a"]'),
        ("listed", "abc"),
        ("some", "abc"),
        ("unique", "abc"),
        ("anything", "abc"),
        ("count", "22"),
        ("ratio", "1.5"),
        ("on", "false"),
        ("on", "true"),
        ("labels", "{}"),
        ("inner", '{"host":"a"}'),
        ("number", "1"),
    ],
)
def test_a_string_is_no_other_type_outside_of_params(reader: Reader, key: str, value: str) -> None:
    ((path, message),) = problems(reader, {key: value})
    assert path == f"$.{key}"
    assert message.startswith("expected ")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", "22", 22),
        ("count", " -7 ", -7),
        ("ratio", "80", 80.0),
        ("ratio", "1.5e3", 1500.0),
        ("ratio", ".5", 0.5),
        ("on", "true", True),
        ("on", "FALSE", False),
        ("on", "no", False),
        ("words", "a, b,c", ("a", "b", "c")),
        ("words", "rm -rf", ("rm -rf",)),
        ("words", "", ()),
        ("words", '["a,b"]', ("a,b",)),
        ("words", ' ["a"]', ("a",)),
        ("listed", "ab,c", ["ab", "c"]),
        ("some", "ab,c", ("ab", "c")),
        ("unique", "ab,c", frozenset({"ab", "c"})),
        ("numbers", "1,2", (1, 2)),
        ("numbers", [1, "2"], (1, 2)),
        ("pair", '["a","2"]', ("a", 2)),
        ("labels", '{"a":"b"}', {"a": "b"}),
        ("free", '{"a":[1]}', {"a": [1]}),
        ("number", "1", Number.ONE),
        ("literal", "1", 1),
        ("id", "7", "7"),
        ("item", "7", "7"),
        ("id", 7, 7),
        ("inner", '{"host":"a","port":"23"}', Inner(host="a", port=23)),
        ("inners", '[{"host":"a"}]', (Inner(host="a"),)),
        ("by_name", '{"x":{"host":"a"}}', {"x": Inner(host="a")}),
        ("span", "1-2", Span(1, 2)),
        ("port", "80", Port(80)),
        ("port", 80, Port(80)),
    ],
)
def test_params_read_strings_as_the_type_of_the_field(key: str, value: Any, expected: Any) -> None:
    """Contract §1: "strings are read as such there (`"80"`, `"true"`); a list or an object may also come as JSON text,
    a list of plain words comma-separated.\""""
    result = getattr(params_reader.read({key: value}, Record), key)
    assert result == expected
    assert type(result) is type(expected)


def test_json_text_in_params_has_the_same_limits() -> None:
    assert problems(params_reader, {"free": '{"a":1,"a":2}'}) == [
        (
            "$.free",
            'expected an object or its JSON text, and this text is not JSON: duplicate key "a"',
        )
    ]
    ((path, _),) = problems(params_reader, {"words": "[" * 200})
    assert path == "$.words"


@ALL
def test_a_class_with_parse_is_read_by_it_whatever_its_base_class(reader: Reader) -> None:
    record = reader.read({"span": "1-2", "port": 8080, "shout": "hi"}, Record)
    assert (record.span, record.port, record.shout) == (Span(1, 2), 8080, "HI")
    assert (type(record.port), type(record.shout)) == (Port, Shout)


@ALL
def test_every_problem_is_reported_with_its_path(reader: Reader) -> None:
    """Contract §1: "`errors` lists *every* problem found.\""""
    found = problems(
        reader,
        {
            "count": None,
            "inners": [{"host": "a", "port": 0}, {"port": 70000}, 7],
            "by_name": {"x": {"host": 1}, "it's odd": {"host": 2}},
            "pair": [1, "b"],
            "numbers": [1, None, 3, {}],
        },
    )
    assert sorted(found) == sorted(
        [
            ("$.count", "expected an integer"),
            ("$.inners[0].port", "expected at least 1 and at most 65535"),
            ("$.inners[1].host", "is required"),
            ("$.inners[1].port", "expected at most 65535"),
            ("$.inners[2]", "expected an object"),
            ("$.by_name.x.host", "expected a string"),
            ("$.by_name['it\\'s odd'].host", "expected a string"),
            ("$.pair[0]", "expected a string"),
            ("$.pair[1]", "expected an integer"),
            ("$.numbers[1]", "expected an integer"),
            ("$.numbers[3]", "expected an integer"),
        ]
    )


@pytest.mark.parametrize("reader", [request_reader, params_reader], ids=["request", "params"])
def test_unknown_keys_are_named_with_the_nearest_known_one(reader: Reader) -> None:
    """Contract §1: "Unknown keys in a request are an error that names them.\""""
    found = problems(reader, {"inner": {"host": "a", "prot": 1, "x y": 2}, "colour": "blue"})
    assert sorted(found) == [
        ("$.colour", "expected one of red, green"),
        ("$.inner.prot", "unknown key; did you mean port? allowed: host, port"),
        ("$.inner['x y']", "unknown key; allowed: host, port"),
    ]


def test_unknown_keys_in_a_response_are_ignored() -> None:
    """Contract §1: "unknown keys in an answer from another program … are ignored.\""""
    assert tolerant_reader.read({"text": "a", "new": 1, "inner": {"host": "b", "x": 2}}, Record) == Record(
        text="a", inner=Inner(host="b")
    )


@ALL
def test_the_key_of_a_field_is_its_alias_or_the_keyword(reader: Reader) -> None:
    record = reader.read({"for": "1m", "other_name": "b"}, Record)
    assert (record.for_, record.named) == ("1m", "b")
    assert problems(reader, {"for": 1, "other_name": 2}) == [
        ("$.for", "expected a string"),
        ("$.other_name", "expected a string"),
    ]
    if reader is not tolerant_reader:
        assert problems(reader, {"for_": "1m"})[0] == (
            "$.for_",
            f"unknown key; did you mean for? allowed: {', '.join(sorted(KEYS))}",
        )


@ALL
def test_no_problem_repeats_the_value(reader: Reader) -> None:
    """Contract §1: "never echoes a secret's value.\""""
    hidden = "hunter2"
    for key in (
        "count",
        "ratio",
        "on",
        "labels",
        "free",
        "colour",
        "number",
        "literal",
        "moment",
        "span",
        "port",
        "inner",
    ):
        with pytest.raises(Invalid) as caught:
            reader.read({key: hidden}, Record)
        assert hidden not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__  # a traceback in the log shows no value either
    for value in ({"secret": {"password": hidden}}, {"secret": [hidden]}, {"words": {"a": hidden}}, {"text": [hidden]}):
        with pytest.raises(Invalid) as caught:
            reader.read(value, Record)
        assert hidden not in str(caught.value)


@ALL
@pytest.mark.parametrize("value", [None, 1, "text", [], [1], True])
def test_a_record_must_be_an_object(reader: Reader, value: Any) -> None:
    assert problems(reader, value) == [("$", "expected an object")]


@frozen(kw_only=True)
class Bounded:
    timeout: Annotated[float, Meta(gt=0, le=86400)] = 1.0
    size: Annotated[int, Meta(ge=0, lt=10)] = 0
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    task_id: Annotated[str, Meta(pattern=TASK_ID_PATTERN)] | None = None
    many: Annotated[tuple[int, ...], Meta(min_length=1, max_length=2)] = (1,)


@ALL
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("timeout", 0, "expected more than 0 and at most 86400"),
        ("timeout", -1, "expected more than 0 and at most 86400"),
        ("timeout", 86400.1, "expected at most 86400"),
        ("size", 10, "expected less than 10"),
        ("size", -1, "expected at least 0"),
        ("name", "", "expected at least 1 character(s)"),
        ("name", "abcd", "expected at most 3 character(s)"),
        ("many", [], "expected at least 1 element(s)"),
        ("many", [1, 2, 3], "expected at most 2 element(s)"),
    ],
)
def test_limits_are_checked_and_named(reader: Reader, key: str, value: Any, message: str) -> None:
    assert problems(reader, {key: value}, Bounded) == [(f"$.{key}", message)]


@pytest.mark.parametrize("task_id", ["a", "A.b_c:d-1", "x" * 128, "...", ".a"])
def test_a_task_id_of_the_allowed_characters_is_accepted(task_id: str) -> None:
    assert request_reader.read({"task_id": task_id}, Bounded).task_id == task_id


@pytest.mark.parametrize("task_id", ["", ".", "..", "a/b", "../x", "a b", "ä", "x" * 129, "a\n", "a\x00", "%2e"])
def test_an_invalid_task_id_is_rejected(task_id: str) -> None:
    """Contract §1: "`task_id` is 1–128 of `A-Za-z0-9._:-`, not `.` or `..`.\""""
    assert problems(request_reader, {"task_id": task_id}, Bounded)[0][0] == "$.task_id"


def test_every_problem_of_a_task_request_is_found() -> None:
    found = problems(
        request_reader,
        {
            "items": [{"id": True, "type": 5, "params": []}, {}, {"id": 1, "type": "x", "retires": 1}],
            "timeout": "5",
            "x": 1,
        },
        TaskRequest,
    )
    assert [path for path, _ in sorted(found)] == [
        "$.items[0].id",
        "$.items[0].params",
        "$.items[0].type",
        "$.items[1].id",
        "$.items[1].type",
        "$.items[2].retires",
        "$.timeout",
        "$.x",
    ]


def test_the_path_of_a_problem_starts_at_the_given_path() -> None:
    with pytest.raises(Invalid) as caught:
        params_reader.read({"count": "x"}, Record, path="$.items[3].params")
    assert caught.value.problems == (Problem("$.items[3].params.count", "expected an integer"),)


def test_a_record_may_raise_its_own_message() -> None:
    @frozen(kw_only=True)
    class Picky:
        name: str = field()

        @name.validator
        def _check(self, _: object, value: str) -> None:
            raise Mismatch("expected something nicer")

    with pytest.raises(Invalid, match="expected something nicer"):
        params_reader.read({"name": "x"}, Picky)


def test_times_are_read_with_their_offset_or_as_utc() -> None:
    assert request_reader.read({"moment": "2024-01-02T03:04:05Z"}, Record).moment == datetime(
        2024, 1, 2, 3, 4, 5, tzinfo=UTC
    )
    assert request_reader.read({"moment": "2024-01-02T03:04:05"}, Record).moment == datetime(
        2024, 1, 2, 3, 4, 5, tzinfo=UTC
    )
    assert request_reader.read({"moment": "2024-01-02T03:04:05+08:00"}, Record).moment == datetime(
        2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=8))
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"numbers": ["x"] * 50_000}, "$.numbers[9999]", id="a list"),
        pytest.param({f"k{number:05}": 1 for number in range(50_000)}, "$.k09999", id="unknown keys"),
        pytest.param({"by_name": {f"k{number}": 1 for number in range(50_000)}}, "$.by_name.k9999", id="an object"),
    ],
)
def test_at_most_ten_thousand_problems_are_reported(value: Any, path: str) -> None:
    """Contract §7: at 16 MiB a request "the process stays below 400 MB": a million problems would take more than
    that, and delay all other requests for a minute."""
    with pytest.raises(Invalid) as caught:
        request_reader.read(value, Record)
    assert [problem.path for problem in caught.value.problems[9_999:]] == [path, "$"]
    assert "the rest was not checked" in caught.value.problems[-1].message


def test_a_list_that_is_too_long_is_rejected_before_its_elements_are_read() -> None:
    """Contract §2: "at most 10 000\""""
    with pytest.raises(Invalid) as caught:
        request_reader.read({"items": [0] * 10_001}, TaskRequest)
    assert caught.value.problems == (Problem("$.items", "expected at most 10000 element(s)"),)
