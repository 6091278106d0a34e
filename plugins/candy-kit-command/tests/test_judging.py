"""From a command's result to an outcome (contract section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import Locale, Outcome, params_reader
from candy_kit_command import (
    Captured,
    Command,
    CommandParams,
    CommandResult,
    CommandSettings,
    CommandTemplates,
    Termination,
    judge_output,
)
from candy_kit_command.number import extract_number


def judged(
    params: dict[str, Any],
    stdout: str = "",
    *,
    code: int | None = 0,
    signal: int | None = None,
    stderr: str = "",
    cut: int = 0,
    termination: Termination | None = None,
    locale: Locale = Locale.EN,
    command: Command | None = None,
) -> Outcome:
    read = params_reader.read({"template": "any", **params}, CommandParams)
    result = CommandResult(
        exit_code=code,
        signal=signal,
        stdout=Captured(stdout, cut, None, len(stdout)),
        stderr=Captured(stderr),
        termination=termination,
    )
    return judge_output(read, result, locale, ["Command: any"], command)


@pytest.mark.parametrize(
    ("code", "nagios", "status"),
    [
        (0, False, "normal"),
        (1, False, "failed"),
        (2, False, "failed"),
        (255, False, "failed"),
        (0, True, "normal"),
        (1, True, "warning"),
        (2, True, "critical"),
        (3, True, "failed"),
        (4, True, "failed"),
        (127, True, "failed"),
    ],
)
def test_exit_codes_are_judged(code: int, nagios: bool, status: str) -> None:
    """Contract §3: 'exit 0 is `normal`, else `failed`/`exit_code`; with `"nagios":"true"` 1 is `warning`, 2
    `critical`, 3 and above `failed`'.
    """
    outcome = judged({"nagios": str(nagios).lower()}, "said\n", code=code)
    assert outcome.status == status
    assert outcome.reason == ("ok" if code == 0 else "exit_code")
    assert outcome.value == "said"
    assert outcome.stats["exit_code"] == code


@pytest.mark.parametrize(
    ("threshold", "critical", "stdout", "status", "reason", "message"),
    [
        ("80", None, "85.5\n", "warning", "threshold_exceeded", "值 85.50 超过阈值 80.00"),
        ("80", None, " 80 ", "normal", "ok", "值 80.00 在阈值 80.00 范围内"),
        ("<10", None, "9", "warning", "threshold_exceeded", "值 9.00 低于阈值 10.00"),
        ("10:20", None, "21", "warning", "threshold_exceeded", "值 21.00 超过阈值 10:20"),
        ("80", "90", "95", "critical", "threshold_exceeded", "值 95.00 超过阈值 90.00"),
        (None, "90", "95", "critical", "threshold_exceeded", "值 95.00 超过阈值 90.00"),
        ("80", None, "1e3", "warning", "threshold_exceeded", "值 1000.00 超过阈值 80.00"),
        ("80", None, "+Inf", "warning", "threshold_exceeded", "值 +Inf 超过阈值 80.00"),
    ],
)
def test_a_number_is_compared(
    threshold: str | None, critical: str | None, stdout: str, status: str, reason: str, message: str
) -> None:
    """Contract §3: 'A numeric `threshold` compares the number that stdout, trimmed, is'."""
    params = {"threshold": threshold, "critical": critical}
    outcome = judged({k: v for k, v in params.items() if v is not None}, stdout, locale=Locale.ZH_CN)
    assert (outcome.status, outcome.reason, outcome.message) == (status, reason, message)
    assert outcome.value == stdout.strip()


@pytest.mark.parametrize("stdout", ["", "many", "5 %", "5\n6", "0x10", "1_0", "٧", "nan", "5" * 500])
def test_output_that_is_not_a_number_is_never_within_a_threshold(stdout: str) -> None:
    """Contract §3: '`not_a_number` if it is none'."""
    for params in ({"threshold": "80"}, {"critical": "80"}, {"threshold": "text", "critical": "80"}):
        outcome = judged(params, stdout)
        assert (outcome.status, outcome.reason) == ("warning", "not_a_number")


def test_a_text_is_searched_for() -> None:
    """Contract §3: 'any other `threshold` is looked for in stdout (`warning`/`output_matched`)'."""
    found = judged({"threshold": "FAILED"}, "all well\ndisk FAILED\n")
    assert (found.status, found.reason, found.message) == ("warning", "output_matched", "The output contains FAILED")
    absent = judged({"threshold": "FAILED"}, "all well\n")
    assert (absent.status, absent.reason) == ("normal", "ok")
    assert absent.value == "all well"


def test_a_text_not_found_in_truncated_output_is_not_normal() -> None:
    outcome = judged({"threshold": "FAILED"}, "all well\n", cut=7)
    assert (outcome.status, outcome.reason) == ("warning", "partial_response")
    number = judged({"threshold": "80"}, "5", cut=7)
    assert (number.status, number.reason) == ("warning", "partial_response")


def test_truncation_is_reported() -> None:
    """Contract §3: 'Output is decoded leniently and cut at a limit, and the cut is reported'."""
    outcome = judged({}, "abc", cut=12345)
    assert "the output was cut after 3 bytes, 12345 more were not kept" in outcome.details
    assert outcome.stats["stdout_cut"] == 12345


def test_a_failed_command_is_not_judged_by_its_output() -> None:
    outcome = judged({"threshold": "80"}, "5", code=1, stderr="first\nno such host\n")
    assert (outcome.status, outcome.reason) == ("failed", "exit_code")
    assert outcome.message == "The command exited with code 1: no such host"


def test_the_worse_of_exit_code_and_threshold_decides() -> None:
    worse = judged({"nagios": True, "threshold": "5", "critical": "10"}, "50", code=1)
    assert (worse.status, worse.reason) == ("critical", "threshold_exceeded")
    equal = judged({"nagios": True, "threshold": "5"}, "50", code=1)
    assert (equal.status, equal.reason, equal.value) == ("warning", "exit_code", "50")


def test_a_nagios_plugin_without_output_is_judged_by_its_exit_code() -> None:
    outcome = judged({"nagios": True}, "", code=2)
    assert (outcome.status, outcome.message) == ("critical", "The command exited with code 2")


def test_a_nagios_plugins_message_and_metrics_are_kept() -> None:
    line = "DISK WARNING - free space: / 3326 MB| /=2643MB;5948;5958;0;5968\n"
    outcome = judged({"nagios": True}, line, code=1)
    assert outcome.message == "Warning: DISK WARNING - free space: / 3326 MB"
    expected = {"value": 2643.0, "unit": "MB", "warn": "5948", "crit": "5958", "min": 0.0, "max": 5968.0}
    assert outcome.stats["perfdata"] == {"/": expected}
    assert "perfdata" not in judged({}, "a | b=1").stats


def test_a_signal_is_named() -> None:
    outcome = judged({"nagios": True}, "partly", code=None, signal=11)
    assert (outcome.status, outcome.reason) == ("failed", "exit_code")
    assert "SIGSEGV" in outcome.message
    assert outcome.stats["signal"] == "SIGSEGV"
    assert judged({}, code=None).status == "failed"


@pytest.mark.parametrize("locale", Locale)
def test_it_is_reported_whether_every_process_has_ended(locale: Locale) -> None:
    """Contract §3: '`stats.terminated` is `verified`, or `unverified` with the reason in `details`'."""
    sure = judged({}, termination=Termination(True), locale=locale)
    assert sure.stats["terminated"] == "verified"
    unsure = judged({}, termination=Termination(False, "no sight of /proc"), locale=locale)
    assert unsure.stats["terminated"] == "unverified"
    assert "no sight of /proc" in unsure.details


def test_details_have_the_head_the_exit_code_and_both_streams() -> None:
    outcome = judged({}, "out\n", stderr="err\n")
    assert outcome.details == "Command: any\nExit Code: 0\n\nStdout:\nout\n\nStderr:\nerr"


def command(name: str) -> Command:
    templates = CommandTemplates.load(CommandSettings())
    made = templates.templates[name].command({})
    assert isinstance(made, Command)
    return made


def test_a_template_may_say_which_number_of_its_output_counts() -> None:
    df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a 100 85 15 85% /\n"
    outcome = judged({"threshold": "80"}, df, command=command("disk_usage"))
    assert (outcome.status, outcome.value) == ("warning", "85")
    assert judged({}, df, command=command("disk_usage")).value == "85"
    broken = judged({"threshold": "80"}, "df: nothing", command=command("disk_usage"))
    assert (broken.status, broken.reason) == ("warning", "not_a_number")
    assert judged({"threshold": "0"}, "S\nZ\nZ+\n", command=command("zombie_count")).value == "2"
    assert judged({"threshold": "0"}, "", command=command("zombie_count")).value == "0"


def test_a_date_is_reported_in_days_from_now() -> None:
    number = command("certificate_file_expiry").number
    sample = extract_number("notAfter=Jan  2 12:00:00 1970 GMT\n", number, clock=lambda: 0.0)
    assert sample is not None
    assert sample.value == 1.5
    assert extract_number("notAfter=soon\n", number, clock=lambda: 0.0) is None


HOSTILE = ("1", "\n", "a\n", " ", " 1%", "1.", ",\n", "a ", "a \n", "NotAfter: ", "notAfter=\n", "999 ", "S", "STREAM")


@pytest.mark.parametrize("name", sorted(CommandTemplates.load(CommandSettings()).templates))
def test_a_hostile_output_is_searched_in_linear_time(name: str) -> None:
    """At these lengths quadratic time would be hours, and another host may write anything."""
    number = command(name).number
    for piece in HOSTILE:
        if number is not None:
            extract_number(piece * (400_000 // len(piece)), number)
