"""Templates: our parser accepts exactly what Go's does, which is run through promtool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candy_kit_rules import PROMETHEUS_RULES, VICTORIAMETRICS_RULES, template_problem

GOOD = [
    "",
    "no template",
    "{ { } }",
    "{{ $labels.instance }} has {{ $value | humanize }}",
    "{{.Value}}",
    "{{ . }}{{.}}",
    "{{ .Labels.a.b }}",
    "{{ $.Labels }}{{ $ }}",
    "{{ $x := 1 }}{{ $x }}",
    "{{$x:=1}}{{$x}}",
    "{{ $x = 1 }}",
    '{{ if eq $labels.a "b" }}x{{ else if gt $value 1.5 }}y{{ else }}z{{ end }}',
    "{{ range . }}{{ else }}{{ end }}",
    "{{ if and (gt $value 1.0) (lt $value 2e3) }}x{{end}}",
    "{{ ($value) }}",
    '{{ (query "up" | first).Value }}',
    '{{ range $i, $e := query "up" }}{{ if $i }}, {{ end }}{{ $e.Value }}{{ else }}none{{ end }}',
    "{{ range $e := . }}{{ $e }}{{ break }}{{ continue }}{{ end }}",
    "{{ with $x := . }}{{ $x }}{{ else }}{{ $x }}{{ end }}",
    "{{ with printf \"x{i='%s'}\" $labels.i | query }}{{ . | first | value | humanize1024 }}%{{ end }}",
    '{{ define "a" }}{{ . }}{{ end }}{{ template "a" }}{{ template "a" . }}',
    '{{ block "a" . }}x{{ end }}',
    "{{/* a }} comment */}}",
    "{{- /* trimmed */ -}}",
    "a {{- 1 -}} b",
    '{{ "}}" }}{{ `{{` }}',
    "{{ `a\nb` }}",
    "{{ 'a' }}{{ '\\'' }}{{ \"\\u4e2d\\x41\\\"\" }}",
    "{{ 0x1F }}{{ 1_000 }}{{ .5 }}{{ 5. }}{{ -1 }}{{ 1i }}{{ 0b11 }}",
    "{{ true }}{{ nil }}{{ print nil }}",
    "{{ . |\n humanize\t}}",
    '{{ $value|printf "%.2f"|title }}',
    "{{ . | }}",
    "{{ $labels.节点 }}{{ .é }}",
    '{{ "a" "b" }}',
    "{{-1}}",
    '{{ reReplaceAll "(.*):.*" "$1" $labels.i }}',
    "}}",
]  # fmt: skip
BAD = [
    ("{{", "unclosed action"),
    ("{{ $value", "unclosed action"),
    ("{{ . }", "unexpected"),
    ("{{{ . }}", "unexpected"),
    ("{{ }}", "missing value"),
    ("{{ | . }}", "unexpected"),
    ("{{ $vlaue }}", 'undefined variable "$vlaue"'),
    ("{{ humanise 1 }}", 'function "humanise" not defined'),
    ("{{ if . }}x", "has no end"),
    ("{{ end }}", "unexpected"),
    ("{{ else }}", "unexpected"),
    ("{{ if }}{{ end }}", "missing value"),
    ("{{ if . }}{{ end }}{{ end }}", "unexpected"),
    ("{{ if . }}{{ else }}{{ else }}{{ end }}", "expected {{end}}"),
    ("{{ range $i, $e, $f := . }}{{ end }}", "too many"),
    ("{{ if $x := 1 }}{{ end }}{{ $x }}", "undefined variable"),
    ("{{ break }}", "outside"),
    ("{{ end . }}", "unexpected"),
    ('{{ define "a" }}{{ $labels.a }}{{ end }}', "undefined variable"),
    ("{{ define a }}{{ end }}", "unexpected"),
    ('{{ if . }}{{ define "a" }}{{ end }}{{ end }}', "unexpected"),
    ("{{ template a }}", "unexpected"),
    ("{{ (1 }}", "unclosed left paren"),
    ("{{ 1) }}", "unexpected right paren"),
    ("{{ () }}", "missing value"),
    ('{{ "a }}', "unterminated"),
    ('{{ "a\nb" }}', "unterminated"),
    ("{{ `a }}", "unterminated"),
    ('{{ "\\d" }}', "escape"),
    ("{{ 'ab' }}", "character"),
    ("{{ 1a }}", "bad number"),
    ("{{ 089 }}", "bad number"),
    ("{{ - }}", "bad number"),
    ("{{ $x=1 }}", "bad character"),
    ('{{ $labels["a"] }}', "bad character"),
    ('{{ a"b" }}', "bad character"),
    ("{{ 1.X }}", "bad number"),
    ('{{ "a".X }}', "unexpected ."),
    ("{{ 1 | 2 }}", "non executable"),
    ('{{ . | "x" }}', "non executable"),
    ("{{ a, b }}", "not defined"),
    ("{{ : }}", "expected :="),
    ("{{ $x := }}", "missing value"),
    ("{{ /* c */ }}", "unexpected"),
    ("{{/* c", "comment"),
    ("{{/* c */ }}", "comment"),
    ("{{ 1-}}", "bad number"),
    ("{{ # }}", "unexpected"),
    ("{{ \x01 }}", "unrecognized"),
    ("{{ range $i, 1 := . }}{{ end }}", "initialize variables"),
    ("{{ $labels.a-b }}", "bad character"),
]


def problem(template: str) -> str | None:
    return template_problem(template, PROMETHEUS_RULES.functions, PROMETHEUS_RULES.variables)


@pytest.mark.parametrize("template", GOOD)
def test_a_template_that_go_parses_has_no_problem(template: str) -> None:
    assert problem(template) is None


@pytest.mark.parametrize(("template", "why"), BAD)
def test_a_template_that_go_does_not_parse_has_a_problem_that_says_why(template: str, why: str) -> None:
    found = problem(template)
    assert found is not None
    assert found.startswith("the template does not parse: ")
    assert why in found


def test_gos_parser_agrees_with_both_lists(faults: Callable[[Any], dict[str, str]]) -> None:
    templates = [*GOOD, *(template for template, _ in BAD)]
    rejected = rejected_by_go(templates, faults)
    assert [template in rejected for template in templates] == [False] * len(GOOD) + [True] * len(BAD)


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{{ ",
        " }}",
        "{{- ",
        " -}}",
        " ",
        "$x",
        "$labels",
        "$value",
        ".",
        "..",
        ".a",
        "(",
        ")",
        "|",
        ":=",
        "=",
        ",",
        '"a"',
        "`b`",
        "'c'",
        "1",
        "1.5",
        "-",
        "if",
        "else",
        "end",
        "range",
        "with",
        "define",
        "template",
        "block",
        "break",
        "humanize",
        "printf",
        "query",
        "x",
        "\n",
        "nil",
        "true",
        "{{ if . }}",
        "{{ end }}",
        "{{ else }}",
        "/*",
        "{{ range . }}",
        "*/",
        "{{/*",
        "{{ $x := 1 }}",
        "{{ with . }}",
        '{{ define "a" }}',
        "é",
        "_",
        "{",
        "}",
        "%",
        '"',
        "`",
        "'",
        "\\",
        "{{ $x }}",
        "{{ . | humanize }}",
        '{{ range $i, $x := query "up" }}',
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=8).map(" ".join),
    st.lists(PIECES, max_size=5).map(lambda pieces: f"{{{{ {' '.join(pieces)} }}}}"),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(templates=st.lists(TEXTS, min_size=100, max_size=200, unique=True))
def test_any_template_is_judged_as_by_go(faults: Callable[[Any], dict[str, str]], templates: list[str]) -> None:
    rejected = rejected_by_go(templates, faults)
    assert {template for template in templates if problem(template)} == rejected


def rejected_by_go(templates: list[str], faults: Callable[[Any], dict[str, str]]) -> set[str]:
    rules = [
        {"alert": f"alert{index}", "expr": "up", "annotations": {"text": text}} for index, text in enumerate(templates)
    ]
    found = faults([{"name": "g", "rules": rules}])
    return {text for index, text in enumerate(templates) if f"alert{index}" in found}


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_text_raises(text: str) -> None:
    problem("{{" + text)
    problem(text + "}}{{" + text + "}}")


def test_every_function_of_prometheus_is_known(faults: Callable[[Any], dict[str, str]]) -> None:
    names = sorted(PROMETHEUS_RULES.functions)
    newer = {"now", "toDuration", "urlQueryEscape"}
    rejected = rejected_by_go([f"{{{{ {name} }}}}" for name in names], faults)
    assert rejected <= {f"{{{{ {name} }}}}" for name in newer}


def test_every_function_and_variable_of_vmalert_is_known(vmalert: Callable[[Any], str]) -> None:
    newer = {"now", "toTime", "parseDurationTime"}
    wrong = []
    for word in [*sorted(set(VICTORIAMETRICS_RULES.functions) - newer), "$labels", "$value", "$expr", "$externalURL"]:
        annotations = {"text": f"{{{{ {word} }}}}"}
        output = vmalert([{"name": "g", "rules": [{"alert": "a", "expr": "up", "annotations": annotations}]}])
        wrong += [word] if "not defined" in output or "undefined" in output else []
    assert wrong == []


def test_ten_thousand_levels_are_rejected_without_recursion() -> None:
    for deep in ("{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}", "{{ if . }}" * 10_000 + "{{ end }}" * 10_000):
        found = problem(deep)
        assert found is not None
        assert "levels within each other" in found


def test_a_problem_of_a_long_template_says_on_which_line() -> None:
    assert problem("first\n{{ $value }}\n{{ nope }}\n") == (
        'the template does not parse: function "nope" not defined (line 3)'
    )
