"""From a finished command to an outcome (contract section 3)."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from attrs import evolve, frozen

from candy_core import ItemStatus, Json, Locale, Outcome, Reason, item_sentences, judge
from candy_kit_command import texts
from candy_kit_command.capture import Capture
from candy_kit_command.command import Command
from candy_kit_command.finished import Captured, Finished
from candy_kit_command.number import number_of
from candy_kit_command.params import CommandParams
from candy_kit_command.perfdata import perfdata_of, text_of

MAX_SAID = 500
"""Characters of a command's own words in a message."""

MAX_VALUE = 1000
"""Characters of ``value``."""

_NAGIOS = {1: (ItemStatus.WARNING, texts.NAGIOS_WARNING), 2: (ItemStatus.CRITICAL, texts.NAGIOS_CRITICAL)}
"""What the exit codes of a plugin of Nagios mean; 3, and every other, is no answer."""

_GRAVITY = (ItemStatus.NORMAL, ItemStatus.WARNING, ItemStatus.CRITICAL, ItemStatus.FAILED)


@frozen(kw_only=True)
class _Verdict:
    status: ItemStatus
    reason: Reason
    message: str = ""
    value: str | None = None
    stats: dict[str, Json] | None = None


def stdout_capture(params: CommandParams, limit: int) -> Capture:
    """A capture for the stdout of such an item: a text that ``threshold`` names is looked for in all that passes."""
    return Capture(limit, look_for=params.threshold.text if params.threshold is not None else None)


def judge_output(
    params: CommandParams, finished: Finished, locale: Locale, head: Sequence[str], command: Command | None = None
) -> Outcome:
    """Say what a finished command means.

    ``head`` are the first lines of ``details``; the command's end and its output follow. ``command`` matters where its
    template says which number of the output is meant.

    A signal or an unseen end is ``failed``/``exit_code``. An exit code that is no success decides alone, as far as it
    is ``failed``; else the graver of it and the thresholds does, the exit code where both weigh the same.
    """
    by_exit = _by_exit(params, finished, locale)
    verdict = by_exit
    if by_exit.status is not ItemStatus.FAILED:
        by_output = _by_output(params, finished, locale, command)
        if by_output is not None:
            graver = _GRAVITY.index(by_output.status) > _GRAVITY.index(by_exit.status)
            if graver or by_exit.status is ItemStatus.NORMAL:
                verdict = by_output
            else:
                verdict = evolve(by_exit, value=by_output.value, stats=by_output.stats)
    return Outcome(
        status=verdict.status,
        reason=verdict.reason,
        value=_first_line(finished.stdout.text) if verdict.value is None else verdict.value,
        message=verdict.message,
        details=_details(finished, locale, head),
        stats={**(verdict.stats or {}), **_stats(params, finished)},
    )


def _by_exit(params: CommandParams, finished: Finished, locale: Locale) -> _Verdict:
    code = finished.exit_code
    if code == 0:
        return _Verdict(status=ItemStatus.NORMAL, reason=Reason.OK)
    if finished.signal is not None:
        message = texts.sentence(locale, texts.KILLED, signal=signal_name(finished.signal))
    elif code is None:
        message = texts.sentence(locale, texts.UNKNOWN_END)
    else:
        said = text_of(finished.stdout.text) if params.nagios else ""
        said = (said or _last_line(finished.stderr.text) or _first_line(finished.stdout.text))[:MAX_SAID]
        message = texts.sentence(locale, texts.EXITED_SAYING if said else texts.EXITED, code=code, text=said)
        if params.nagios and code in _NAGIOS:
            status, msgid = _NAGIOS[code]
            if said:
                message = texts.sentence(locale, msgid, text=said)
            return _Verdict(status=status, reason=Reason.EXIT_CODE, message=message)
    return _Verdict(status=ItemStatus.FAILED, reason=Reason.EXIT_CODE, message=message)


def _by_output(params: CommandParams, finished: Finished, locale: Locale, command: Command | None) -> _Verdict | None:
    threshold = params.threshold
    numeric = (threshold is not None and threshold.limit is not None) or params.critical is not None
    compared = _compared(params, finished, locale, command) if numeric else _shown(finished, command)
    if threshold is None or threshold.text is None:
        return compared
    sought = _sought(threshold.text, finished.stdout, locale)
    if compared is None or _GRAVITY.index(sought.status) > _GRAVITY.index(compared.status):
        return sought if compared is None else evolve(sought, value=compared.value, stats=compared.stats)
    return compared if numeric else evolve(sought, value=compared.value)


def _compared(params: CommandParams, finished: Finished, locale: Locale, command: Command | None) -> _Verdict:
    number = None if command is None else command.number
    sample = number_of(finished.stdout.text, number)
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
        partial=_cut(finished.stdout, locale) if finished.stdout.cut else None,
    )
    return _Verdict(
        status=judged.status,
        reason=Reason(judged.reason),
        message=judged.message,
        value=judged.value,
        stats=dict(judged.stats),
    )


def _shown(finished: Finished, command: Command | None) -> _Verdict | None:
    """Without a threshold the number of a template is told, and nothing is made of it."""
    if command is None or command.number is None:
        return None
    sample = number_of(finished.stdout.text, command.number)
    return None if sample is None else _Verdict(status=ItemStatus.NORMAL, reason=Reason.OK, value=sample.text)


def _sought(text: str, stdout: Captured, locale: Locale) -> _Verdict:
    shown = text[:MAX_SAID]
    if stdout.found or (stdout.found is None and text in stdout.text):
        message = texts.sentence(locale, texts.MATCHED, text=shown)
        return _Verdict(status=ItemStatus.WARNING, reason=Reason.OUTPUT_MATCHED, message=message)
    if stdout.found is None and stdout.cut:
        message = item_sentences.partial_response(locale, _cut(stdout, locale))
        return _Verdict(status=ItemStatus.WARNING, reason=Reason.PARTIAL_RESPONSE, message=message)
    return _Verdict(
        status=ItemStatus.NORMAL, reason=Reason.OK, message=texts.sentence(locale, texts.NOT_MATCHED, text=shown)
    )


def _details(finished: Finished, locale: Locale, head: Sequence[str]) -> str:
    lines = list(head)
    if finished.exit_code is not None:
        lines.append(f"Exit Code: {finished.exit_code}")
    elif finished.signal is not None:
        lines.append(f"Signal: {signal_name(finished.signal)}")
    blocks = ["\n".join(lines)] if lines else []
    for name, stream in (("Stdout", finished.stdout), ("Stderr", finished.stderr)):
        text = stream.text.rstrip("\n")
        if stream.cut:
            text = f"{text}\n[{_cut(stream, locale)}]"
        if text:
            blocks.append(f"{name}:\n{text}")
    if finished.stopped is not None and not finished.stopped.verified:
        blocks.append(texts.sentence(locale, texts.UNVERIFIED, why=finished.stopped.detail))
    elif finished.stopped is not None and finished.stopped.detail:
        blocks.append(finished.stopped.detail)
    return "\n\n".join(blocks)


def _stats(params: CommandParams, finished: Finished) -> dict[str, Json]:
    stats: dict[str, Json] = {}
    if finished.exit_code is not None:
        stats["exit_code"] = finished.exit_code
    if finished.signal is not None:
        stats["signal"] = signal_name(finished.signal)
    for name, stream in (("stdout_cut", finished.stdout), ("stderr_cut", finished.stderr)):
        if stream.cut:
            stats[name] = stream.cut
    if params.nagios and (metrics := perfdata_of(finished.stdout.text)):
        stats["perfdata"] = {metric.label: metric.json() for metric in metrics}
    if finished.stopped is not None:
        stats["terminated"] = "verified" if finished.stopped.verified else "unverified"
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
