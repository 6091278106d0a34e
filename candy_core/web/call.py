"""One request on its way through a handler, and the bounds that it is read within."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import TypeVar, cast

from aiohttp import web
from attrs import frozen

from candy_core.codec import params_reader
from candy_core.codec.problems import join
from candy_core.errors import Invalid, Problem
from candy_core.keys import Caller
from candy_core.model.task import Json

Q = TypeVar("Q")


@frozen(kw_only=True)
class RequestLimits:
    """Bounds of a request.

    ``size`` in bytes, ``seconds`` for all of it and ``pause`` between two pieces are for its body. ``idle`` is what a
    connection may be silent before its first request and between two, and what a client has for the head of one.
    """

    size: int
    seconds: float = 60.0
    pause: float = 15.0
    idle: float = 75.0


@frozen
class Call:
    """One request on its way through a handler. ``caller`` is ``None`` where the route needs no key and none came."""

    request: web.Request
    caller: Caller | None
    limits: RequestLimits
    request_id: str

    @property
    def scopes(self) -> frozenset[str]:
        """What the caller may do."""
        return self.caller.scopes if self.caller is not None else frozenset()

    def path(self, name: str) -> str:
        """A part of the path, decoded. It is what the caller wrote: check it before use."""
        return self.request.match_info[name]

    def query(self, kind: type[Q]) -> Q:
        """The query string as a record; raises :class:`Invalid` for unknown, repeated and wrong parameters."""
        if not self.request.query_string:
            return cast("Q", _without_query(cast("Hashable", kind)))
        values: dict[str, Json] = {}
        problems: list[Problem] = []
        for name, value in self.request.query.items():
            if name in values:
                problems.append(Problem(join("query", name), "stands twice"))
            values[name] = value
        try:
            query = params_reader.read(values, kind, path="query")
        except Invalid as error:
            problems += error.problems
        if problems:
            raise Invalid(problems)
        return query


@cache
def _without_query(kind: Hashable) -> object:
    """The record of a query string in which nothing stands."""
    return params_reader.read({}, cast("type[object]", kind), path="query")
