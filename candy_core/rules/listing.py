"""Pages of rules from several backends, one backend after the other (contract section 5)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence

from attrs import define, field, frozen

from candy_core.codec import dumps, loads, request_reader
from candy_core.errors import BadJson, CandyError, Invalid, Problem
from candy_core.model.rule import StoredRule
from candy_core.rules.annotations import CONFIG_MAP, KEY, answer_of
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.documents import BackendFault, RuleList

_FILTERED_PAGE = 500
"""The page size for a backend when the filter may drop most of its rules."""


@frozen(kw_only=True)
class ListFilter:
    """Which rules to list. ``None`` stands for all."""

    type_name: str | None = None
    namespace: str | None = None
    config_map: str | None = None
    key: str | None = None

    @property
    def by_annotation(self) -> bool:
        """Whether the core has to filter, because backends cannot."""
        return self.config_map is not None or self.key is not None

    def matches(self, stored: StoredRule) -> bool:
        """Whether a rule passes the filter."""
        annotations = stored.rule.annotations
        return all(
            wanted is None or annotations.get(name, "") == wanted
            for name, wanted in ((CONFIG_MAP, self.config_map), (KEY, self.key))
        )


@frozen(kw_only=True)
class _Position:
    """Where a page ends: the backend, the cursor of one of its own pages, and how many rules of that page to skip."""

    backend: str
    cursor: str | None = None
    skip: int = 0


@define
class _Page:
    """A page that is being filled."""

    remaining: int
    rules: list[tuple[Backend, StoredRule]] = field(factory=list)
    errors: list[BackendFault] = field(factory=list)


class Lister:
    """Reads pages of rules."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def page(self, where: ListFilter, *, limit: int, cursor: str | None) -> RuleList:
        """The rules from ``cursor`` on.

        If a backend fails, its error is listed in ``errors`` and the next backend follows; with a type in the filter
        the error is raised. Raises :class:`Invalid` for an unknown type and an invalid cursor.
        """
        if where.type_name is not None:
            backends: Sequence[Backend] = (self._backends.require(where.type_name, "query.type"),)
        else:
            backends = self._backends.all()
        names = [backend.name for backend in backends]
        position = _from_cursor(cursor)
        if position is not None and position.backend not in names:
            raise _bad_cursor()
        start = names.index(position.backend) if position is not None else 0
        page = _Page(remaining=limit)
        rest: _Position | None = None
        for index in range(start, len(backends)):
            backend = backends[index]
            at = position if position is not None and index == start else _Position(backend=backend.name)
            try:
                rest = await self._fill(page, backend, at, where)
            except Invalid:
                raise _bad_cursor() from None
            except CandyError as error:
                if where.type_name is not None:
                    raise
                page.errors.append(BackendFault(type=backend.type_name, code=error.code, detail=str(error)))
                rest = None
            if rest is None and page.remaining == 0 and index + 1 < len(backends):
                rest = _Position(backend=backends[index + 1].name)
            if rest is not None:
                break
        rules = await asyncio.to_thread(
            lambda: tuple(answer_of(stored, backend.type_name, backend.group) for backend, stored in page.rules)
        )
        return RuleList(rules=rules, errors=tuple(page.errors), next_cursor=_to_cursor(rest))

    async def _fill(self, page: _Page, backend: Backend, start: _Position, where: ListFilter) -> _Position | None:
        """Fill the page from one backend. Returns where the next page starts, ``None`` after the last rule."""
        at: _Position | None = start
        while at is not None and page.remaining:
            size = max(_FILTERED_PAGE, at.skip + 1) if where.by_annotation else at.skip + page.remaining
            found = await backend.list(where.namespace, limit=size, cursor=at.cursor)
            after = _Position(backend=backend.name, cursor=found.next_cursor) if found.next_cursor is not None else None
            for number, stored in enumerate(found.rules):
                if number < at.skip or not where.matches(stored):
                    continue
                if not page.remaining:
                    return _Position(backend=backend.name, cursor=at.cursor, skip=number)
                page.rules.append((backend, stored))
                page.remaining -= 1
            at = after
        return at


def _to_cursor(position: _Position | None) -> str | None:
    if position is None:
        return None
    return base64.urlsafe_b64encode(dumps([position.backend, position.cursor, position.skip])).decode()


def _from_cursor(cursor: str | None) -> _Position | None:
    if cursor is None:
        return None
    try:
        value = loads(base64.b64decode(cursor.encode("ascii", "replace"), altchars=b"-_", validate=True))
        backend, inner, skip = request_reader.read(value, tuple[str, str | None, int])
    except (binascii.Error, ValueError, BadJson, Invalid):
        raise _bad_cursor() from None
    if not 0 <= skip <= _FILTERED_PAGE:
        raise _bad_cursor()
    return _Position(backend=backend, cursor=inner, skip=skip)


def _bad_cursor() -> Invalid:
    return Invalid([Problem("query.cursor", "expected the next_cursor of an earlier page")])
