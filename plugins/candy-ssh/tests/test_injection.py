"""What an item may try, and that none of it reaches a shell, an option or another host."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from candy_core import Invalid, Reason
from candy_kit_command import Capture
from candy_ssh.host import Host, HostPattern, allowed
from candy_ssh.remote_scripts import command_line, launch_line
from candy_ssh.session import CommandSession

TEMPLATES = """
templates:
  show:
    argv: [printf, '%s|', '{text}', last]
    params: {text: {kind: string, max_length: 1000, leading_dash: true}}
"""
HOSTILE = [
    "$(touch {mark})",
    "`touch {mark}`",
    "; touch {mark}",
    "&& touch {mark}",
    "| touch {mark}",
    "> {mark}",
    "${{IFS}}touch${{IFS}}{mark}",
    "＄(touch {mark})",
    "'; touch {mark}; '",
    '"; touch {mark}; "',
    "\\'; touch {mark}",
    "'\"'\"'; touch {mark}",
    "-o {mark}",
    "{{a,b}}",
    "~",
    "*",
    "%s%n",
    "!!",
]


@pytest.fixture
def templates(tmp_path: Path) -> str:
    file = tmp_path / "templates.yaml"
    file.write_text(TEMPLATES)
    return str(file)


@pytest.mark.parametrize("user", ["own", "other"], indirect=True)
async def test_an_argument_arrives_as_it_was_written(
    open_agent: Any, templates: str, tmp_path: Path, ssh_keys: Path, user: str
) -> None:
    mark = tmp_path / "injected"
    login = {"username": user, "private_key_file": str(ssh_keys / "login")}
    async with open_agent(templates=templates, credentials={"login": login}) as agent:
        for hostile in HOSTILE:
            text = hostile.format(mark=mark)
            outcome = await agent.run(template="show", args={"text": text})
            assert outcome.value == f"{text}|last|", outcome
        assert not mark.exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=200))
def test_any_text_arrives_as_it_was_written(text: str) -> None:
    """Through the very line that goes over the wire, read by a shell as sshd has it read."""
    line = launch_line(["printf", "%s", text], "c0ffee", plain_words=True)
    done = subprocess.run(["sh", "-c", line], check=True, input=b"\n", capture_output=True, timeout=300)
    assert done.stdout.rpartition(b"c0ffee.\n")[2] == text.encode()


def fish_words(line: str) -> list[str]:
    """A line of words between quotes, as fish reads it: within single quotes a backslash takes a quote, or itself."""
    words: list[str] = []
    word, quote, place = "", "", 0
    while place < len(line):
        character = line[place]
        place += 1
        if quote and character == "\\" and line[place] in (quote, "\\"):
            word += line[place]
            place += 1
        elif quote:
            quote, word = ("", word) if character == quote else (quote, word + character)
        elif character in "'\"":
            quote = character
        elif character == " ":
            words.append(word)
            word = ""
        else:
            assert character.isascii(), "outside of quotes"
            assert character.isalnum() or character in "_./-", "outside of quotes"
            word += character
    assert not quote, "a quote is open"
    return [*words, word]


@given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
@example(words=["=ls", "%self", "~", "a=b", "\\'; id; '", ""])
def test_a_login_shell_that_reads_backslashes_between_quotes_reads_the_same_words(words: list[str]) -> None:
    """Lessons, "Letting anyone in": an argument never becomes a command, whatever shell the user has over there."""
    line = command_line(words)
    assert fish_words(line) == words
    assert shlex.split(line) == words


@pytest.mark.parametrize(
    "host",
    [
        *(
            "-oProxyCommand=touch x",
            "--",
            "-",
            "",
            " ",
            "a b",
            "a\nb",
            "a\0b",
            "root@host",
            "host:22",
            "[::1]",
            "fe80::1%eth0",
        ),
        *(
            "host/../x",
            "ｌocalhost",
            "lоcalhost",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "1.2.3.4.5",
            "a..b",
        ),
        *(".a", "a-", "-a.b", "a" * 64, ".".join(["a"] * 200), "127.0.0.1\n", "*", "*.example.com", "example.com:80"),
    ],
)
def test_what_is_no_host_is_refused(agent: Any, host: str) -> None:
    with pytest.raises(Invalid) as refused:
        agent.params(host=host, command="true")
    assert not host.strip() or host not in str(refused.value)


@pytest.mark.parametrize("username", ["-l", "a b", "a\nb", "", "a;b", "$(x)", "ａ", "a" * 200])
def test_what_is_no_user_name_is_refused(agent: Any, username: str) -> None:
    with pytest.raises(Invalid):
        agent.params(username=username, command="true")


@pytest.mark.parametrize(
    ("host", "patterns", "expected"),
    [
        ("web1.example.com", "*.example.com", True),
        ("WEB1.Example.COM.", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("web1.example.com.evil.org", "*.example.com", False),
        ("10.0.0.1", "10.0.0.0/8", True),
        ("11.0.0.1", "10.0.0.0/8", False),
        ("10.0.0.1", "10.0.0.*", True),
        ("10.0.0.evil.org", "10.0.0.*", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "*.0.0.1", True),
        ("10.0.0.1", "*.example.com", False),
        ("::ffff:10.0.0.1", "10.0.0.0/8", True),
        ("fd00::1", "fd00::/8", True),
        ("FD00:0:0::1", "fd00::1", True),
        ("fd00::1", "10.0.0.0/8", False),
        ("web1", "db1,web?", True),
        ("anything", "*", True),
        ("anything", "", False),
        ("web1", "web2", False),
    ],
)
def test_a_host_matches_what_the_allow_list_means(host: str, patterns: str, expected: bool) -> None:
    listed = [HostPattern.parse(each) for each in patterns.split(",") if each]
    assert allowed(Host.parse(host), listed) is expected


async def test_nothing_is_allowed_by_default(open_agent: Any) -> None:
    """Contract §3: "Hosts must match the agent's allow-list"; §7: "names, globs and CIDRs, none"."""
    async with open_agent(allowed_hosts=None) as agent:
        for asked in ({}, {"host": None, "hosts": "127.0.0.1,127.0.0.2"}):
            outcome = await agent.run(**asked, command="true")
            assert outcome.reason == Reason.NOT_ALLOWED
            assert "CANDY_SSH_ALLOWED_HOSTS" in outcome.message
        assert agent.executor.pool.opened == 0


async def test_a_free_form_command_is_off_by_default(open_agent: Any) -> None:
    async with open_agent(allow_command=None) as agent:
        outcome = await agent.run(command="true")
        assert outcome.reason == Reason.NOT_ALLOWED
        assert "CANDY_SSH_ALLOW_COMMAND" in outcome.message
        assert agent.executor.pool.opened == 0


async def test_the_agents_environment_stays_at_home(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDY_API_KEY", "never-to-be-seen")
    monkeypatch.setenv("LC_CANDY", "never-to-be-seen")
    assert "never-to-be-seen" not in (await agent.run(command="env")).details


async def test_a_line_that_is_too_long_is_told(agent: Any) -> None:
    outcome = await agent.run(command="echo " + "'" * 60_000)
    assert outcome.reason == Reason.BAD_PARAMS


async def test_output_is_cut_at_its_limit_and_told(agent: Any) -> None:
    """Contract §3: "Output is decoded leniently and cut at a limit, and the cut is reported"."""
    outcome = await agent.run(command="head -c 3000000 /dev/zero; printf '\\377\\n' >&2")
    assert outcome.reason == "ok"
    assert outcome.stats["stdout_cut"] == 3_000_000 - 64 * 1024
    assert "\N{REPLACEMENT CHARACTER}" in outcome.details


async def test_output_without_end_does_not_delay_other_items(agent: Any) -> None:
    answered = asyncio.Event()
    flood = asyncio.ensure_future(agent.run_and_cancel(0.5, answered.wait(), command="yes"))
    await asyncio.sleep(0.5)
    outcome = await agent.run(command="echo here")
    assert not flood.done()
    assert outcome.value == "here"
    answered.set()
    outcome = await flood
    assert outcome.stats["terminated"] == "verified"


async def test_what_a_start_up_file_prints_is_no_output_of_the_command(agent: Any) -> None:
    stdout = Capture(1000)
    session = CommandSession("a" * 32, stdout, Capture(1000), 1000)
    stat = "7 (sh) S 6 7 7 " + " ".join(["0"] * 15) + " 4711 0"
    for byte in f"Welcome!\n{'a' * 32}\n{stat}\n77\npipe:[1]\n{'a' * 32}.\n42\n".encode():
        session.data_received(bytes([byte]), None)
    assert session.processes.entries() == ["7:4711:7"]
    assert stdout.finish().text == "42\n"
