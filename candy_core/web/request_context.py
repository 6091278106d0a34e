"""What a handler knows about its request, and the limits for reading it."""

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
    """Limits of a request, in seconds except for ``size``.

    For its body: ``size`` in bytes, ``seconds`` to receive all of it, ``pause`` between two pieces. ``idle`` is the
    time limit for a connection without a request, and for receiving a request's headers.
    """

    size: int
    seconds: float = 60.0
    pause: float = 15.0
    idle: float = 75.0


@frozen
class RequestContext:
    """One request. ``caller`` is ``None`` if the route needs no key and the client sent none."""

    request: web.Request
    caller: Caller | None
    limits: RequestLimits
    request_id: str

    @property
    def scopes(self) -> frozenset[str]:
        """The caller's scopes."""
        return self.caller.scopes if self.caller is not None else frozenset()

    def path(self, name: str) -> str:
        """A path parameter, decoded but not validated."""
        return self.request.match_info[name]

    def query(self, kind: type[Q]) -> Q:
        """The query string as a record. Raises :class:`Invalid` for unknown, duplicate and wrong parameters."""
        if not self.request.query_string:
            return cast("Q", _empty_query(cast("Hashable", kind)))
        values: dict[str, Json] = {}
        problems: list[Problem] = []
        for name, value in self.request.query.items():
            if name in values:
                problems.append(Problem(join("query", name), "duplicate parameter"))
            values[name] = value
        try:
            query = params_reader.read(values, kind, path="query")
        except Invalid as error:
            problems += error.problems
        if problems:
            raise Invalid(problems)
        return query


@cache
def _empty_query(kind: Hashable) -> object:
    """The record of an empty query string."""
    return params_reader.read({}, cast("type[object]", kind), path="query")
