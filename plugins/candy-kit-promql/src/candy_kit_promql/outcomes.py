"""From an answer to the outcome of an item."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias, TypeVar, cast

from attrs import evolve, frozen

from candy_core import ItemStatus, Locale, Outcome, Reason, Sample, item_sentences, judge
from candy_kit_promql import texts
from candy_kit_promql.emptiness import Emptiness
from candy_kit_promql.failure import MAX_TEXT, QueryFailed, unreadable
from candy_kit_promql.params import MetricParams
from candy_kit_promql.samples import BadSampleError, histograms_in, matrix_samples, number, vector_samples
from candy_kit_promql.time_range import Reduce
from candy_kit_promql.wire import (
    UNREADABLE,
    MatrixSeries,
    Point,
    Reply,
    Series,
    read_data,
    read_matrix,
    read_point,
    read_vector,
    read_warnings,
)

_SHOWN_WARNINGS = 5
_MAX_WARNINGS = 64 * 1024
"""Bytes of warnings beyond which they are not parsed."""

T = TypeVar("T")
Result: TypeAlias = list[Series] | list[MatrixSeries] | Point


@frozen(kw_only=True)
class Answer:
    """A query's answer, read as far as judging needs. ``partial`` says why it is incomplete, ``None`` if it is not.

    Points of a matrix after ``until``, in Unix seconds, do not count.
    """

    kind: str
    result: Result
    partial: str | None = None
    until: float = math.inf

    @property
    def empty(self) -> bool:
        """Whether it holds no series at all."""
        return isinstance(self.result, list) and not self.result


def read_answer(reply: Reply, until: float = math.inf) -> Answer:
    """Read the result of a query. Raises :class:`QueryFailed` with ``bad_response``."""
    try:
        data = read_data(reply.data)
        match data.resultType:
            case "vector":
                result: Result = read_vector(data.result)
            case "matrix":
                result = read_matrix(data.result)
            case "scalar" | "string":
                result = read_point(data.result)
            case _:
                raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why="an unknown resultType")
        return Answer(kind=data.resultType, result=result, partial=_partial(reply), until=until)
    except UNREADABLE as error:
        raise unreadable(error) from None


def judge_answer(answer: Answer, params: MetricParams, locale: Locale, *, drain: bool = False) -> Outcome:
    """Compare an answer with an item's thresholds. Raises :class:`QueryFailed` for values that are not numbers.

    With ``drain`` the answer's series are removed as they are judged. An instant query whose result is a matrix
    (``up[5m]``) is judged by the last point of each series.
    """
    head = details_head(params, answer.kind)
    if answer.kind == "string" and isinstance(answer.result, Point):
        return _text_outcome(answer.result.text, params, locale, head, answer.partial)
    histograms = 0 if isinstance(answer.result, Point) else histograms_in(answer.result)
    if histograms:
        head.append(texts.sentence(locale, texts.HISTOGRAMS, count=histograms))
    try:
        return judge(
            _samples(answer, params, drain=drain),
            scalar=answer.kind == "scalar",
            threshold=params.threshold,
            critical=params.critical,
            locale=locale,
            head=head,
            partial=answer.partial,
        )
    except UNREADABLE as error:
        raise unreadable(error) from None
    except BadSampleError as error:
        raise QueryFailed(Reason.BAD_RESPONSE, texts.WRONG_SHAPE, why=str(error)) from None


def judge_large_answer(
    reply: Reply, items: Iterable[MetricParams], locale: Locale, until: float = math.inf
) -> list[Outcome] | Answer:
    """:func:`judge_answer` for all items of a query, with little memory; the answer itself if it is empty.

    The answer is read again for each item, and its series are dropped one by one as they are judged.
    """
    outcomes = []
    for params in items:
        answer = read_answer(reply, until)
        if answer.empty:
            return answer
        outcomes.append(judge_answer(answer, params, locale, drain=True))
    return outcomes


def empty_outcome(answer: Answer, why: Emptiness, params: MetricParams, locale: Locale) -> Outcome:
    """The outcome for an empty answer; ``no_data`` overrides the status, whatever the reason."""
    return Outcome(
        status=params.no_data or why.status,
        reason=why.reason,
        message=texts.sentence(locale, why.msgid, **why.values),
        details="\n".join(details_head(params, answer.kind)),
        stats={"series": 0, "exceeding": 0},
    )


def failed_outcome(failure: QueryFailed, datasource: str, host: str, params: MetricParams, locale: Locale) -> Outcome:
    """The outcome for a query that failed; ``details`` quote the server's own text."""
    details = f"Query: {params.query}" + (f"\nError: {failure.text}" if failure.text else "")
    message = texts.sentence(
        locale, failure.msgid, **{"datasource": datasource, "host": host, "text": failure.text, **failure.values}
    )
    return Outcome(status=ItemStatus.FAILED, reason=failure.reason, message=message, details=details)


def details_head(params: MetricParams, kind: str) -> list[str]:
    """The first lines of ``details`` (contract section 3), and how a range was reduced."""
    head = [f"Query: {params.query}", f"Result Type: {kind}"]
    if params.range is not None:
        step = params.range.step_seconds
        head.append(f"Range: {params.range.lookback}, step {step:g}s, {params.range.reduce.value}")
    return head


def _samples(answer: Answer, params: MetricParams, *, drain: bool) -> Iterator[Sample]:
    result = answer.result
    if isinstance(result, Point):
        return iter((Sample(instance="", value=number(result.text), text=result.text),))
    if answer.kind == "vector":
        vector = cast("list[Series]", result)
        return vector_samples(_drained(vector) if drain else vector, params.instance_label)
    reduce = params.range.reduce if params.range is not None else Reduce.LAST
    matrix = cast("list[MatrixSeries]", result)
    return matrix_samples(_drained(matrix) if drain else matrix, params.instance_label, reduce, answer.until)


def _drained(entries: list[T]) -> Iterator[T]:
    entries.reverse()
    while entries:
        yield entries.pop()


def _text_outcome(text: str, params: MetricParams, locale: Locale, head: list[str], partial: str | None) -> Outcome:
    """A string result: its value is the text, which cannot be compared with a threshold."""
    outcome = Outcome(
        status=ItemStatus.NORMAL,
        reason=Reason.OK,
        value=text,
        details="\n".join(head),
        stats={"series": 0, "exceeding": 0},
    )
    if partial is not None:
        message = item_sentences.partial_response(locale, partial)
        return evolve(outcome, status=ItemStatus.WARNING, reason=Reason.PARTIAL_RESPONSE, message=message)
    if params.threshold is not None or params.critical is not None:
        message = texts.sentence(locale, texts.TEXT_RESULT)
        return evolve(outcome, status=ItemStatus.WARNING, reason=Reason.NOT_A_NUMBER, message=message)
    return outcome


def _partial(reply: Reply) -> str | None:
    """Why an answer is incomplete, in the server's own words.

    Prometheus' ``warnings`` mean storage that could not be read, or samples that an operator had to drop; its
    ``infos`` are advice, and ignored.
    """
    raw = memoryview(reply.warnings)
    if len(raw) > _MAX_WARNINGS:  # no real server sends that many; a million strings would take 60 MB
        return bytes(raw[:MAX_TEXT]).decode("utf-8", "replace") + " …"
    warnings = read_warnings(reply.warnings) or []
    shown = warnings[:_SHOWN_WARNINGS]
    more = len(warnings) - len(shown)
    text = "; ".join(shown)[:MAX_TEXT] + (f" … (+{more})" if more > 0 else "")
    if reply.isPartial:
        return f"isPartial; {text}" if text else "isPartial"
    return text or ("warnings" if warnings else None)
