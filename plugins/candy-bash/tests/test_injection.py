"""Hostile arguments: none of them reaches a shell or becomes an option."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEMPLATES = """
templates:
  show:
    argv: [printf, '%s|', '{text}', last]
    params: {text: {kind: string, max_length: 1000}}
  reach:
    argv: [printf, '%s|', '{host}']
    params: {host: {kind: host}}
  read:
    argv: [printf, '%s|', '{file}']
    params: {file: {kind: path, root: ROOT}}
"""


@pytest.fixture
def templates(tmp_path: Path) -> str:
    """Templates that print each argument they get."""
    file = tmp_path / "templates.yaml"
    file.write_text(TEMPLATES.replace("ROOT", str(tmp_path)))
    return str(file)


HOSTILE = [
    "{mark}\ntouch {mark}",
    "$(touch {mark})",
    "`touch {mark}`",
    "; touch {mark}",
    "&& touch {mark}",
    "| touch {mark}",
    "> {mark}",
    "x\0touch {mark}",
    "-o {mark}",
    "--output={mark}",
    "-oProxyCommand=touch {mark}",
    "${{IFS}}touch${{IFS}}{mark}",
    "＄(touch {mark})",
    "；touch {mark}",
    "'; touch {mark}; '",
    '"; touch {mark}; "',
    "\\'; touch {mark}",
    "\u202e; touch {mark}",
    "{{a,b}}",
    "~",
    "*",
    "%s%n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
async def test_an_argument_reaches_the_program_as_one_text_or_is_rejected(
    open_agent: Any, templates: str, tmp_path: Path, text: str
) -> None:
    """Contract §3: 'argv lists with typed parameters'."""
    mark = tmp_path / "reached"
    value = text.format(mark=mark)
    async with open_agent(templates=templates, allow_command=False) as agent:
        for template, arg in (("show", "text"), ("reach", "host"), ("read", "file")):
            for given_value in (value, f"{tmp_path}/{value}"):
                outcome = await agent.run({"template": template, "args": {arg: given_value}})
                if outcome.status == "normal":
                    assert outcome.value == f"{given_value}|" + ("last|" if template == "show" else "")
                else:
                    assert outcome.reason == "bad_params"
                    assert str(mark) not in outcome.message
        refused = await agent.run({"command": f"touch {mark}"})
        assert refused.reason == "not_allowed"
        assert "CANDY_BASH_ALLOW_COMMAND" in refused.message
    assert not mark.exists()


@pytest.mark.parametrize("text", [hostile for hostile in HOSTILE if hostile[0] in "-{~*%" or hostile == "> {mark}"])
async def test_an_invalid_host_never_starts_a_program(open_agent: Any, templates: str, text: str) -> None:
    async with open_agent(templates=templates) as agent:
        outcome = await agent.run({"template": "reach", "args": {"host": text}})
        assert (outcome.status, outcome.reason) == ("failed", "bad_params")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_any_text_arrives_unchanged_or_is_rejected(open_agent: Any, templates: str, text: str) -> None:
    async def main() -> None:
        async with open_agent(templates=templates) as agent:
            outcome = await agent.run({"template": "show", "args": {"text": text}})
            if outcome.status == "normal":
                # value is stripped on the right, like every line
                assert outcome.value == f"{text}|last|"
            else:
                assert outcome.reason == "bad_params"

    asyncio.run(main())


def swap(file: str, text: str) -> None:
    Path(file).write_text(text)


async def test_replacing_a_template_file_after_it_was_read_has_no_effect(
    open_agent: Any, templates: str, tmp_path: Path
) -> None:
    mark = tmp_path / "reached"
    async with open_agent(templates=templates) as agent:
        swap(templates, f"templates: {{show: {{argv: [touch, {mark}]}}}}")
        outcome = await agent.run({"template": "show", "args": {"text": "x"}})
        assert outcome.value == "x|last|"
    assert not mark.exists()
