"""Pages of rules out of several backends, one after the other (contract section 5)."""

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
"""What a backend is asked for at once where most of it may be dropped."""


@frozen(kw_only=True)
class ListFilter:
    """Which rules: ``None`` for whatever there is."""

    type_name: str | None = None
    namespace: str | None = None
    config_map: str | None = None
    key: str | None = None

    @property
    def looks_inside(self) -> bool:
        """Whether the core has to look at each rule."""
        return self.config_map is not None or self.key is not None

    def takes(self, stored: StoredRule) -> bool:
        """Whether a rule is one of those."""
        annotations = stored.rule.annotations
        return all(
            wanted is None or annotations.get(name, "") == wanted
            for name, wanted in ((CONFIG_MAP, self.config_map), (KEY, self.key))
        )


@frozen(kw_only=True)
class _Place:
    """Where a page ends: in which backend, at which of its own pages, and how many rules into that."""

    backend: str
    cursor: str | None = None
    skip: int = 0


@define
class _Page:
    """A page as far as it has been filled."""

    room: int
    rules: list[tuple[Backend, StoredRule]] = field(factory=list)
    errors: list[BackendFault] = field(factory=list)


class Lister:
    """Fills pages."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def page(self, where: ListFilter, *, limit: int, cursor: str | None) -> RuleList:
        """The rules from ``cursor`` on.

        A backend that fails is told in ``errors``, and the next one is gone on with; where the caller has named that
        one type its error is raised. Raises :class:`Invalid` for an unknown type and a cursor that is none of ours.
        """
        if where.type_name is not None:
            backends: Sequence[Backend] = (self._backends.expect(where.type_name, "query.type"),)
        else:
            backends = self._backends.all()
        names = [backend.name for backend in backends]
        place = _from_cursor(cursor)
        if place is not None and place.backend not in names:
            raise _bad_cursor()
        start = names.index(place.backend) if place is not None else 0
        page = _Page(room=limit)
        rest: _Place | None = None
        for index in range(start, len(backends)):
            backend = backends[index]
            at = place if place is not None and index == start else _Place(backend=backend.name)
            try:
                rest = await self._fill(page, backend, at, where)
            except Invalid:
                raise _bad_cursor() from None
            except CandyError as error:
                if where.type_name is not None:
                    raise
                page.errors.append(BackendFault(type=backend.type_name, code=error.code, detail=str(error)))
                rest = None
            if rest is None and page.room == 0 and index + 1 < len(backends):
                rest = _Place(backend=backends[index + 1].name)
            if rest is not None:
                break
        rules = await asyncio.to_thread(
            lambda: tuple(answer_of(stored, backend.type_name, backend.group) for backend, stored in page.rules)
        )
        return RuleList(rules=rules, errors=tuple(page.errors), next_cursor=_to_cursor(rest))

    async def _fill(self, page: _Page, backend: Backend, place: _Place, where: ListFilter) -> _Place | None:
        """Take from one backend until the page is full or there is no more; where it was left, or ``None``."""
        at: _Place | None = place
        while at is not None and page.room:
            size = max(_FILTERED_PAGE, at.skip + 1) if where.looks_inside else at.skip + page.room
            found = await backend.list(where.namespace, limit=size, cursor=at.cursor)
            after = _Place(backend=backend.name, cursor=found.next_cursor) if found.next_cursor is not None else None
            for number, stored in enumerate(found.rules):
                if number < at.skip or not where.takes(stored):
                    continue
                if not page.room:
                    return _Place(backend=backend.name, cursor=at.cursor, skip=number)
                page.rules.append((backend, stored))
                page.room -= 1
            at = after
        return at


def _to_cursor(place: _Place | None) -> str | None:
    if place is None:
        return None
    return base64.urlsafe_b64encode(dumps([place.backend, place.cursor, place.skip])).decode()


def _from_cursor(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    try:
        value = loads(base64.b64decode(cursor.encode("ascii", "replace"), altchars=b"-_", validate=True))
        backend, inner, skip = request_reader.read(value, tuple[str, str | None, int])
    except (binascii.Error, ValueError, BadJson, Invalid):
        raise _bad_cursor() from None
    if not 0 <= skip <= _FILTERED_PAGE:
        raise _bad_cursor()
    return _Place(backend=backend, cursor=inner, skip=skip)


def _bad_cursor() -> Invalid:
    return Invalid([Problem("query.cursor", "expected the next_cursor of an earlier page")])
