"""Judges the findings of a check by an item's thresholds (contract section 3)."""

from __future__ import annotations

from attrs import frozen

from candy_core import Breach, ItemStatus, Locale, Outcome, Reason, Threshold, sentence
from candy_kubernetes import texts
from candy_kubernetes.checks import Check
from candy_kubernetes.offenders import MAX_NAMED, Findings, Offender
from candy_kubernetes.params import KubernetesParams


@frozen(kw_only=True)
class Nouns:
    """The noun for a check's objects, in the singular and the plural."""

    one: str
    several: str

    @classmethod
    def of(cls, check: Check, locale: Locale) -> Nouns:
        """The nouns in a language; Chinese has one form for both."""
        one = texts.sentence(locale, check.noun)
        return cls(one=one, several=f"{one}s" if locale is Locale.EN else one)

    @property
    def heading(self) -> str:
        """The plural, capitalized."""
        return self.several[:1].upper() + self.several[1:]


def judge_findings(check: Check, params: KubernetesParams, found: Findings, locale: Locale) -> Outcome:
    """Compare the number of offenders with an item's thresholds, and name the offenders.

    The sentences are those of metric items, with the check's noun in place of the node: ``{v}`` is the number of
    offenders, and ``{inst}`` the worst one.
    """
    nouns = Nouns.of(check, locale)
    worst = found.worst()
    heading = texts.sentence(locale, texts.FOUND, Nouns=nouns.heading)
    if (breach := _breach(params, found.count)) is not None:
        status, limit, side = breach
        reason = Reason.THRESHOLD_EXCEEDED
        message = _breached(nouns, worst, found.count, limit, side, locale)
        heading = _heading(nouns, side, locale)
    elif found.total or not check.needs_objects:
        status, reason = ItemStatus.NORMAL, Reason.OK
        message = _core(locale, "The values of all {nouns} are within the threshold {t}", nouns, params.threshold)
    else:
        status, reason = params.no_data or ItemStatus.NORMAL, Reason.EMPTY_RESULT
        message = _nothing(nouns, params, locale)
    return Outcome(
        status=status,
        reason=reason,
        value=str(found.count),
        message=message,
        details=_details(params, found, worst, heading, locale),
        stats={"offenders": found.count, "total": found.total, **found.stats},
    )


def _breach(params: KubernetesParams, count: int) -> tuple[ItemStatus, Threshold, Breach] | None:
    """The status for the number, the threshold that it breaches, and on which side; critical takes precedence."""
    for limit, status in ((params.critical, ItemStatus.CRITICAL), (params.threshold, ItemStatus.WARNING)):
        if limit is not None and (side := limit.breach(count)) is not None:
            return status, limit, side
    return None


def _breached(nouns: Nouns, worst: list[Offender], count: int, limit: Threshold, side: Breach, locale: Locale) -> str:
    value = f"{count:.2f}"
    below, other = side is Breach.BELOW, side is Breach.OTHER
    if not worst:  # no offender to name
        msgid = "The value {v} is below the threshold {t}" if below else "The value {v} breaches the threshold {t}"
    elif count == 1:
        msgid = "The value {v} of {noun} {inst} exceeds the threshold {t}"
        if below:
            msgid = "The value {v} of {noun} {inst} is below the threshold {t}"
        elif other:
            msgid = "The value {v} of {noun} {inst} breaches the threshold {t}"
    else:
        msgid = "{n} {nouns} exceed the threshold {t}; the highest value is {v} of {inst}"
        if below:
            msgid = "{n} {nouns} are below the threshold {t}; the lowest value is {v} of {inst}"
        elif other:
            msgid = "{n} {nouns} breach the threshold {t}; the highest value is {v} of {inst}"
    return _core(locale, msgid, nouns, limit, n=count, v=value, inst=worst[0].name if worst else "")


def _heading(nouns: Nouns, side: Breach, locale: Locale) -> str:
    msgid = "{Nouns} below the threshold:" if side is Breach.BELOW else "{Nouns} beyond the threshold:"
    return sentence(locale, msgid, Nouns=nouns.heading)


def _core(locale: Locale, msgid: str, nouns: Nouns, limit: Threshold, **values: object) -> str:
    """One of the core's own sentences."""
    return sentence(locale, msgid, noun=nouns.one, nouns=nouns.several, t=limit.shown, **values)


def _nothing(nouns: Nouns, params: KubernetesParams, locale: Locale) -> str:
    namespace, selector = params.selected_namespace(), params.label_selector.strip()
    if selector:
        msgid = texts.NOTHING_SELECTED_IN if namespace else texts.NOTHING_SELECTED
    else:
        msgid = texts.NOTHING_IN if namespace else texts.NOTHING
    return texts.sentence(locale, msgid, nouns=nouns.several, namespace=namespace, selector=selector)


def head_of(params: KubernetesParams) -> list[str]:
    """The first lines of ``details``: what was checked."""
    head = [f"Check: {params.check}"]
    if namespace := params.selected_namespace():
        head.append(f"Namespace: {namespace}")
    if selector := params.label_selector.strip():
        head.append(f"Label Selector: {selector}")
    return head


def _details(params: KubernetesParams, found: Findings, worst: list[Offender], heading: str, locale: Locale) -> str:
    head = "\n".join([*head_of(params), f"Total: {found.total}"])
    if not worst:
        return head
    lines = [heading, *(offender.text(locale) for offender in worst)]
    if found.count > MAX_NAMED:
        lines.append(sentence(locale, "and {n} more", n=found.count - MAX_NAMED))
    return "\n\n".join([head, "\n".join(lines)])
