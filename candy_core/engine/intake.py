"""From a request's body to a task that can be kept: the shape, the items' types and params, the caller's scopes."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from candy_core.codec import dumps, request_reader
from candy_core.codec.problems import MAX_PROBLEMS
from candy_core.engine.item_resolution import HostedExecutor, RejectedItem, resolve_item
from candy_core.errors import Invalid, Problem
from candy_core.faults import secrets_of, traceback_of
from candy_core.judging import item_sentences
from candy_core.model.task import Callback, ItemId, ItemRequest, Json, Locale, Outcome, Reason, TaskRequest
from candy_core.ports.context import Logger
from candy_core.ports.planned_item import PlannedItem
from candy_core.ports.task_store import NewTask

_MAY_HOLD_FLOAT = re.compile(rb"(?:^|[:\[,])-?[0-9]+[.e]")


@frozen(kw_only=True)
class ItemCheck:
    """The answer of a dry run for one item."""

    item_id: ItemId
    ok: bool
    reason: str
    message: str


class Intake:
    """Checks requests against what is installed. Pure but for the id that it makes where the caller gave none."""

    def __init__(
        self,
        executors: Mapping[str, HostedExecutor],
        check_callback: Callable[[Callback], Sequence[Problem]],
        logger: Logger,
    ) -> None:
        self._executors = executors
        self._check_callback = check_callback
        self._log = logger

    def plan(self, body: Json, scopes: frozenset[str], *, strict: bool) -> NewTask:
        """Make a task of a request's body.

        Raises :class:`Invalid` with every problem where the request's own shape is wrong (contract section 2,
        "Intake"); with ``strict`` also where an item's type or params are. Otherwise such an item carries its verdict.
        """
        request = self._read(body)
        problems: list[Problem] = []
        items = []
        for index, item in enumerate(request.items):
            verdict, faults, params = self._examine(index, item, scopes, request.locale)
            if strict and len(problems) < MAX_PROBLEMS:
                problems += faults
            items.append(
                PlannedItem(
                    id=item.id,
                    type=item.type,
                    name=item.name,
                    params=item.params,
                    timeout=item.timeout,
                    retries=item.retries,
                    verdict=verdict,
                ).with_read(params)
            )
        if problems:
            raise Invalid(problems)
        text = canonical(body)
        return NewTask(
            task_id=request.task_id or str(uuid.uuid4()),
            digest=hashlib.sha256(text).digest(),
            size=_weight(text, items),
            items=tuple(items),
            timeout=request.timeout,
            priority=request.priority,
            locale=request.locale,
            callback=request.callback,
        )

    @staticmethod
    def checks(task: NewTask) -> tuple[ItemCheck, ...]:
        """The items' verdicts, for a dry run."""
        return tuple(
            ItemCheck(
                item_id=item.id,
                ok=item.verdict is None,
                reason=item.verdict.reason if item.verdict else Reason.OK,
                message=item.verdict.message if item.verdict else "",
            )
            for item in task.items
        )

    def _read(self, body: Json) -> TaskRequest:
        request = request_reader.read(body, TaskRequest)
        problems = list(_repeated(request.items))
        if request.callback is not None:
            problems += [
                Problem("$.callback" + problem.path.removeprefix("$"), problem.message)
                for problem in self._check_callback(request.callback)
            ]
        if problems:
            raise Invalid(problems)
        return request

    def _examine(
        self, index: int, item: ItemRequest, scopes: frozenset[str], locale: Locale
    ) -> tuple[Outcome | None, Sequence[Problem], object]:
        """An item's verdict (``None``: it may run), the same as problems of the request, and its params."""
        path = f"$.items[{index}]"
        found = resolve_item(item, self._executors, locale, path=path)
        if isinstance(found, RejectedItem):
            return found.outcome, found.problems, None
        hosted, params = found
        try:
            missing = () if "*" in scopes else tuple(sorted(hosted.spec.scopes(params) - scopes))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's fault costs its own item, and never the request
            trace = traceback_of(error, hidden=secrets_of([hosted.settings, params]))
            self._log.error("plugin_error", plugin=hosted.plugin, hook="scopes", item_id=item.id, exception=trace)
            sentence = item_sentences.plugin_error(locale, hosted.plugin)
            return Outcome.failed(Reason.PLUGIN_ERROR, sentence), [Problem(path, sentence)], None
        if missing:
            sentence = item_sentences.scope_missing(locale, missing)
            return Outcome.failed(Reason.NOT_ALLOWED, sentence), [Problem(path, sentence)], None
        return None, (), params


def _weight(text: bytes, items: Sequence[PlannedItem]) -> int:
    """About the memory that a task takes while it waits: an empty object is 2 bytes of text, and 64 of Python's."""
    values = 100 * (text.count(b"{") + text.count(b"[")) + 25 * text.count(b'"') + 8 * text.count(b",")
    verdicts = sum(300 + 2 * len(item.verdict.message) for item in items if item.verdict is not None)
    return len(text) + values + 200 * len(items) + verdicts


def _repeated(items: Sequence[ItemRequest]) -> Sequence[Problem]:
    first: dict[ItemId, int] = {}
    return [
        Problem(f"$.items[{index}].id", f"is the id of $.items[{earlier}] too; expected one that is unique in the task")
        for index, item in enumerate(items)
        if (earlier := first.setdefault(item.id, index)) != index
    ]


def canonical(body: Json) -> bytes:
    """One text for all texts of a JSON value: the order of keys, white space and ``1`` for ``1.0`` do not matter."""
    text = dumps(body, sort_keys=True)
    if _MAY_HOLD_FLOAT.search(text):
        text = dumps(_with_plain_integers(body), sort_keys=True)
    return text


def _with_plain_integers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _with_plain_integers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_plain_integers(inner) for inner in value]
    return value
