"""Typed parameters: a value becomes exactly one element of the argv, or is rejected."""

from __future__ import annotations

import re
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_command import Kind, Parameter
from candy_kit_command.argument import ArgumentRejected
from candy_kit_command.template import Template, TemplateSpec, compile_template

HOST = Parameter(kind=Kind.HOST)
PATH = Parameter(kind=Kind.PATH, root="/var/log")
TEXT = Parameter(kind=Kind.STRING)
ENUM = Parameter(kind=Kind.ENUM, values=("eth0", "eth1"))
PARAMETERS = (HOST, PATH, TEXT, ENUM, Parameter(kind=Kind.NUMBER), Parameter(kind=Kind.INTEGER))


def template(parameter: Parameter, *around: str) -> Template:
    before, after = around or ("", "")
    spec = TemplateSpec(argv=("program", "first", f"{before}{{it}}{after}", "last"), params={"it": parameter})
    return compile_template("name", spec)


@given(value=st.text() | st.integers() | st.floats() | st.booleans() | st.none(), parameter=st.sampled_from(PARAMETERS))
def test_an_accepted_value_is_exactly_one_element_and_the_others_are_unchanged(
    value: Any, parameter: Parameter
) -> None:
    """Contract §3: 'argv lists with typed parameters'."""
    try:
        text = parameter.text_of(value)
    except ArgumentRejected:
        return
    assert text is not None
    argv = template(parameter).command({"it": text}).argv
    assert argv == ("program", "first", text, "last")
    assert text.isprintable()
    assert not text.startswith("-")
    if isinstance(value, str) and parameter.kind not in (Kind.NUMBER, Kind.INTEGER):
        assert text == value
    assert template(parameter, "--it=", ".log").command({"it": text}).argv[2] == f"--it={text}.log"


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=256))
def test_any_printable_text_without_a_leading_dash_is_accepted_unchanged(text: str) -> None:
    if text.startswith("-"):
        with pytest.raises(ArgumentRejected):
            TEXT.text_of(text)
    else:
        assert TEXT.text_of(text) == text
        assert template(TEXT).command({"it": text}).shell is None


UNPRINTABLE = [
    "a\nb",
    "a\rb",
    "a\0b",
    "a\tb",
    "a\u2028b",
    "a\u202eb",
    "a\u200bb",
    "a\x1b[2Jb",
    "a\x85b",
    "\ud800",
]


@pytest.mark.parametrize("text", UNPRINTABLE, ids=ascii)
@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.kind.value)
def test_newlines_control_and_invisible_characters_are_rejected(parameter: Parameter, text: str) -> None:
    with pytest.raises(ArgumentRejected):
        parameter.text_of(text)
    with pytest.raises(ArgumentRejected):
        evolve(PATH, root="/").text_of(f"/{text}")


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch${IFS}x",
        "-h",
        "host;id",
        "host id",
        "$(id)",
        "`id`",
        "host|id",
        "host>x",
        "host&",
        "user@host",
        "host/..",
        "a..b",
        ".a",
        "a-",
        "b.-a",
        "ｅｘａｍｐｌｅ.com",
        "еxample.com",
        "example。com",
        "[::1]",
        "::1%eth0",
        "1.2.3.4:22",
        "a" * 64,
        "a." * 130,
        None,
        True,
        {"a": 1},
    ],
    ids=ascii,
)
def test_invalid_hosts_are_rejected(host: Any) -> None:
    """A host never starts with ``-``, and look-alikes of ASCII letters are rejected."""
    with pytest.raises(ArgumentRejected):
        HOST.text_of(host)


@pytest.mark.parametrize("host", ["example.com", "example.com.", "a_b", "10.0.0.1", "::1", "2001:db8::7", "db-1", "7"])
def test_hosts_are_names_and_addresses(host: str) -> None:
    assert HOST.text_of(host) == host


@pytest.mark.parametrize(
    "path",
    [
        "",
        "log",
        "/var/log/../../etc/shadow",
        "/var/log/..",
        "/var/log/./x",
        "/var/log//x",
        "//var/log/x",
        "/var/log/",
        "/var/logs",
        "/var",
        "/etc/passwd",
        "-/var/log",
        "/var/log/x\n/etc",
        "/var/log/" + "x" * 5000,
    ],
)
def test_a_path_outside_its_root_or_not_normalized_is_rejected(path: str) -> None:
    with pytest.raises(ArgumentRejected):
        PATH.text_of(path)


def test_a_path_is_its_root_or_below_it() -> None:
    assert PATH.text_of("/var/log") == "/var/log"
    assert PATH.text_of("/var/log/a b/…") == "/var/log/a b/…"
    assert Parameter(kind=Kind.PATH).text_of("/") == "/"


@pytest.mark.parametrize("value", ["eth", "eth2", "ETH0", "eth0 ", "ｅth0", "eth0\n", "", None, 0])
def test_an_enum_accepts_only_its_values(value: Any) -> None:
    with pytest.raises(ArgumentRejected):
        ENUM.text_of(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [("7", "7"), (7, "7"), ("7.50", "7.5"), (0.000001, "0.000001"), ("1e3", "1000"), ("-0.0", "0"), ("+4", "4")],
)
def test_numbers_are_written_without_an_exponent(value: Any, text: str) -> None:
    assert Parameter(kind=Kind.NUMBER).text_of(value) == text


@pytest.mark.parametrize(
    "value", ["", " 7", "7 ", "0x7", "1_000", "٧", "７", "nan", "inf", "1e999", True, "7;id", "--7"]
)
def test_invalid_numbers_are_rejected(value: Any) -> None:
    for kind in (Kind.NUMBER, Kind.INTEGER):
        with pytest.raises(ArgumentRejected):
            Parameter(kind=kind).text_of(value)


def test_numbers_are_bounded_and_negative_only_where_allowed() -> None:
    with pytest.raises(ArgumentRejected):
        Parameter(kind=Kind.INTEGER).text_of(-1)
    assert Parameter(kind=Kind.INTEGER, min=-5).text_of("-3") == "-3"
    with pytest.raises(ArgumentRejected):
        Parameter(kind=Kind.INTEGER, max=10).text_of(11)
    with pytest.raises(ArgumentRejected):
        Parameter(kind=Kind.INTEGER).text_of(1.5)


def test_a_string_starts_with_a_dash_only_where_its_template_allows_it() -> None:
    with pytest.raises(ArgumentRejected):
        TEXT.text_of("--output=/etc/passwd")
    assert Parameter(kind=Kind.STRING, leading_dash=True).text_of("-x") == "-x"


def test_a_pattern_must_match_the_whole_text() -> None:
    word = Parameter(kind=Kind.STRING, pattern="[a-z]+|x")
    assert word.text_of("abc") == "abc"
    for text in ("abc1", "1abc", "a b"):
        with pytest.raises(ArgumentRejected):
            word.text_of(text)


def test_a_flag_adds_its_argument_or_nothing() -> None:
    flag = Parameter(kind=Kind.FLAG, argument="--all")
    spec = TemplateSpec(argv=("program", "{all}"), params={"all": flag})
    assert compile_template("name", spec).command({"all": "--all"}).argv == ("program", "--all")
    assert compile_template("name", spec).command({}).argv == ("program",)
    assert flag.text_of("no") is None
    with pytest.raises(ArgumentRejected):
        flag.text_of("--all")


def test_an_error_never_contains_the_value() -> None:
    for parameter in PARAMETERS:
        with pytest.raises(ArgumentRejected) as error:
            parameter.text_of("-s3cret\n")
        assert not re.search("s3cret", str(error.value))
