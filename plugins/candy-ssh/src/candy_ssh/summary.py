"""The summary of an item's outcomes on many hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from candy_core import ItemStatus, Json, Locale, Outcome, Reason
from candy_ssh import texts
from candy_ssh.host import Host

MAX_LINES = 100
MAX_VALUE = 100
"""Characters of each host's value in ``stats``."""

_SEVERITY = (ItemStatus.FAILED, ItemStatus.CRITICAL, ItemStatus.WARNING, ItemStatus.NORMAL)


def summarize(outcomes: Sequence[tuple[Host, Outcome]], locale: Locale, limit: int) -> Outcome:
    """One outcome with the status, reason and value of the worst one; the first of several.

    ``stats``: ``hosts``, how many of each status, ``reasons``, each host's ``values``, and ``terminated``, which is
    ``verified`` only if it is for every host where processes had to be terminated. ``details``: one line for each host
    that is not normal, worst first, and at most ``limit`` bytes of them.
    """
    ranked = sorted(outcomes, key=lambda pair: _SEVERITY.index(pair[1].status))
    worst_host, worst = ranked[0]
    bad = [(host, outcome) for host, outcome in ranked if outcome.status is not ItemStatus.NORMAL]
    counted = Counter(outcome.status for _, outcome in outcomes)
    stats: dict[str, Json] = {"hosts": len(outcomes)}
    stats |= {status.value: counted[status] for status in reversed(_SEVERITY)}
    stats["reasons"] = dict(Counter(outcome.reason for _, outcome in outcomes))
    stats["values"] = {str(host): outcome.value[:MAX_VALUE] for host, outcome in outcomes if outcome.value}
    ends = {outcome.stats["terminated"] for _, outcome in outcomes if "terminated" in outcome.stats}
    if ends:
        stats["terminated"] = "verified" if ends == {"verified"} else "unverified"
    if bad:
        values = {"host": worst_host, "message": worst.message or worst.reason}
        message = texts.sentence(locale, texts.SOME_NOT_NORMAL, bad=len(bad), total=len(outcomes), **values)
    else:
        message = texts.sentence(locale, texts.ALL_NORMAL, total=len(outcomes))
    return Outcome(
        status=worst.status,
        reason=worst.reason if bad else Reason.OK,
        value=worst.value,
        message=message,
        details=_details(bad, locale, limit),
        stats=stats,
    )


def _details(bad: Sequence[tuple[Host, Outcome]], locale: Locale, limit: int) -> str:
    lines: list[str] = []
    free = limit
    for host, outcome in bad[:MAX_LINES]:
        line = " ".join(f"{host}: {outcome.message or outcome.reason}{_unverified(outcome)}".split())
        free -= len(line.encode("utf-8", "replace")) + 1
        if free < 0:
            break
        lines.append(line)
    if len(lines) < len(bad):
        lines.append(texts.sentence(locale, texts.AND_MORE, count=len(bad) - len(lines)))
    return "\n".join(lines)


def _unverified(outcome: Outcome) -> str:
    """Why it is not known that every process has ended: the last paragraph of such a host's details."""
    if outcome.stats.get("terminated") != "unverified":
        return ""
    return f" ({outcome.details.rpartition(chr(10) * 2)[2]})"
