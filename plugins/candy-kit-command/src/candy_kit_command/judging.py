"""From a command's result to an outcome (contract section 3)."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from attrs import evolve, frozen

from candy_core import ItemStatus, Json, Locale, Outcome, Reason, item_sentences, judge
from candy_kit_command import texts
from candy_kit_command.capture import Capture
from candy_kit_command.command import Command
from candy_kit_command.command_result import Captured, CommandResult
from candy_kit_command.number import extract_number
from candy_kit_command.params import CommandParams
from candy_kit_command.perfdata import perfdata_of, status_text

MAX_QUOTED = 500
"""Characters of a command's output that a message quotes."""

MAX_VALUE = 1000
"""Characters of ``value``."""

_NAGIOS = {1: (ItemStatus.WARNING, texts.NAGIOS_WARNING), 2: (ItemStatus.CRITICAL, texts.NAGIOS_CRITICAL)}
"""The exit codes of Nagios plugins that are findings; 3 and every other one mean that the check itself failed."""

_SEVERITY = (ItemStatus.NORMAL, ItemStatus.WARNING, ItemStatus.CRITICAL, ItemStatus.FAILED)


@frozen(kw_only=True)
class _Verdict:
    status: ItemStatus
    reason: Reason
    message: str = ""
    value: str | None = None
    stats: dict[str, Json] | None = None


def stdout_capture(params: CommandParams, limit: int) -> Capture:
    """A capture for the stdout of such an item: a text as ``threshold`` is searched for in the whole stream."""
    return Capture(limit, search=params.threshold.text if params.threshold is not None else None)


def judge_output(
    params: CommandParams, result: CommandResult, locale: Locale, head: Sequence[str], command: Command | None = None
) -> Outcome:
    """The outcome of a command's result.

    ``head`` are the first lines of ``details``; the exit code and the output follow. ``command`` is needed for its
    template's ``number``.

    A signal or an end that was not observed is ``failed``/``exit_code``. An exit code that means ``failed`` decides
    alone; otherwise the worse of exit code and thresholds decides, and the exit code if they are equal.
    """
    by_exit = _by_exit(params, result, locale)
    verdict = by_exit
    if by_exit.status is not ItemStatus.FAILED:
        by_output = _by_output(params, result, locale, command)
        if by_output is not None:
            worse = _SEVERITY.index(by_output.status) > _SEVERITY.index(by_exit.status)
            if worse or by_exit.status is ItemStatus.NORMAL:
                verdict = by_output
            else:
                verdict = evolve(by_exit, value=by_output.value, stats=by_output.stats)
    return Outcome(
        status=verdict.status,
        reason=verdict.reason,
        value=_first_line(result.stdout.text) if verdict.value is None else verdict.value,
        message=verdict.message,
        details=_details(result, locale, head),
        stats={**(verdict.stats or {}), **_stats(params, result)},
    )


def _by_exit(params: CommandParams, result: CommandResult, locale: Locale) -> _Verdict:
    code = result.exit_code
    if code == 0:
        return _Verdict(status=ItemStatus.NORMAL, reason=Reason.OK)
    if result.signal is not None:
        message = texts.sentence(locale, texts.KILLED, signal=signal_name(result.signal))
    elif code is None:
        message = texts.sentence(locale, texts.UNKNOWN_END)
    else:
        quoted = status_text(result.stdout.text) if params.nagios else ""
        quoted = (quoted or _last_line(result.stderr.text) or _first_line(result.stdout.text))[:MAX_QUOTED]
        message = texts.sentence(locale, texts.EXITED_SAYING if quoted else texts.EXITED, code=code, text=quoted)
        if params.nagios and code in _NAGIOS:
            status, msgid = _NAGIOS[code]
            if quoted:
                message = texts.sentence(locale, msgid, text=quoted)
            return _Verdict(status=status, reason=Reason.EXIT_CODE, message=message)
    return _Verdict(status=ItemStatus.FAILED, reason=Reason.EXIT_CODE, message=message)


def _by_output(
    params: CommandParams, result: CommandResult, locale: Locale, command: Command | None
) -> _Verdict | None:
    threshold = params.threshold
    numeric = (threshold is not None and threshold.limit is not None) or params.critical is not None
    compared = _compare(params, result, locale, command) if numeric else _report_number(result, command)
    if threshold is None or threshold.text is None:
        return compared
    searched = _search(threshold.text, result.stdout, locale)
    if compared is None or _SEVERITY.index(searched.status) > _SEVERITY.index(compared.status):
        return searched if compared is None else evolve(searched, value=compared.value, stats=compared.stats)
    return compared if numeric else evolve(searched, value=compared.value)


def _compare(params: CommandParams, result: CommandResult, locale: Locale, command: Command | None) -> _Verdict:
    number = None if command is None else command.number
    sample = extract_number(result.stdout.text, number)
    if sample is None:
        message = texts.sentence(locale, texts.NOT_A_NUMBER if number is None else texts.NO_NUMBER)
        return _Verdict(status=ItemStatus.WARNING, reason=Reason.NOT_A_NUMBER, message=message)
    judged = judge(
        [sample],
        scalar=True,
        threshold=None if params.threshold is None else params.threshold.limit,
        critical=params.critical,
        locale=locale,
        head=(),
        partial=_cut(result.stdout, locale) if result.stdout.cut else None,
    )
    return _Verdict(
        status=judged.status,
        reason=Reason(judged.reason),
        message=judged.message,
        value=judged.value,
        stats=dict(judged.stats),
    )


def _report_number(result: CommandResult, command: Command | None) -> _Verdict | None:
    """Without a threshold a template's number is reported but not judged."""
    if command is None or command.number is None:
        return None
    sample = extract_number(result.stdout.text, command.number)
    return None if sample is None else _Verdict(status=ItemStatus.NORMAL, reason=Reason.OK, value=sample.text)


def _search(text: str, stdout: Captured, locale: Locale) -> _Verdict:
    shown = text[:MAX_QUOTED]
    if stdout.found or (stdout.found is None and text in stdout.text):
        message = texts.sentence(locale, texts.MATCHED, text=shown)
        return _Verdict(status=ItemStatus.WARNING, reason=Reason.OUTPUT_MATCHED, message=message)
    if stdout.found is None and stdout.cut:
        message = item_sentences.partial_response(locale, _cut(stdout, locale))
        return _Verdict(status=ItemStatus.WARNING, reason=Reason.PARTIAL_RESPONSE, message=message)
    return _Verdict(
        status=ItemStatus.NORMAL, reason=Reason.OK, message=texts.sentence(locale, texts.NOT_MATCHED, text=shown)
    )


def _details(result: CommandResult, locale: Locale, head: Sequence[str]) -> str:
    lines = list(head)
    if result.exit_code is not None:
        lines.append(f"Exit Code: {result.exit_code}")
    elif result.signal is not None:
        lines.append(f"Signal: {signal_name(result.signal)}")
    blocks = ["\n".join(lines)] if lines else []
    for name, stream in (("Stdout", result.stdout), ("Stderr", result.stderr)):
        text = stream.text.rstrip("\n")
        if stream.cut:
            text = f"{text}\n[{_cut(stream, locale)}]"
        if text:
            blocks.append(f"{name}:\n{text}")
    if result.termination is not None and not result.termination.verified:
        blocks.append(texts.sentence(locale, texts.UNVERIFIED, why=result.termination.detail))
    elif result.termination is not None and result.termination.detail:
        blocks.append(result.termination.detail)
    return "\n\n".join(blocks)


def _stats(params: CommandParams, result: CommandResult) -> dict[str, Json]:
    stats: dict[str, Json] = {}
    if result.exit_code is not None:
        stats["exit_code"] = result.exit_code
    if result.signal is not None:
        stats["signal"] = signal_name(result.signal)
    for name, stream in (("stdout_cut", result.stdout), ("stderr_cut", result.stderr)):
        if stream.cut:
            stats[name] = stream.cut
    if params.nagios and (metrics := perfdata_of(result.stdout.text)):
        stats["perfdata"] = {metric.label: metric.json() for metric in metrics}
    if result.termination is not None:
        stats["terminated"] = "verified" if result.termination.verified else "unverified"
    return stats


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; the number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _cut(stream: Captured, locale: Locale) -> str:
    return texts.sentence(locale, texts.CUT, kept=stream.kept, cut=stream.cut)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip()[:MAX_VALUE]


def _last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2].strip()
