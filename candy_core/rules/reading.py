"""Reads rules from requests, and reports every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from attrs import frozen

from candy_core.codec import request_reader
from candy_core.errors import Invalid, Problem
from candy_core.model.rule import Rule
from candy_core.model.task import Json
from candy_core.rules.annotations import rule_of
from candy_core.rules.backends import Backend, Backends
from candy_core.rules.content import groups_of
from candy_core.rules.documents import RuleDraft

D = TypeVar("D", bound=RuleDraft)


@frozen(kw_only=True)
class DesiredRule:
    """A rule that a caller wants, and the backend to write it to."""

    backend: Backend
    rule: Rule
    version: str
    """The version that the change is based on, empty if the caller named none."""


def read_desired(body: Json, kind: type[D], backends: Backends) -> tuple[D, DesiredRule]:
    """Read a rule from a request's body.

    Raises :class:`Invalid` with every problem of its shape and type, and of its content as far as it can be read.
    """
    problems: list[Problem] = []
    try:
        draft = request_reader.read(body, kind)
    except Invalid as error:
        problems += error.problems
        partial = _valid_part(body, kind, error)
        if partial is None:
            raise
        draft = partial
    backend = backends.named(draft.type)
    if backend is None and not any(problem.path == "$.type" for problem in problems):
        problems.append(backends.unknown("$.type"))
    try:
        groups = groups_of(draft, backend.group if backend is not None else None)
    except Invalid as error:
        problems += error.problems
    if problems or backend is None:
        raise Invalid(problems)
    return draft, DesiredRule(backend=backend, rule=rule_of(draft, groups), version=draft.resource_version)


def _valid_part(body: Json, kind: type[D], error: Invalid) -> D | None:
    """The valid part of a draft, so that its content can be checked too. ``None`` if there is no content to check."""
    if not isinstance(body, Mapping) or "content" not in body:
        return None
    bad = [problem.path for problem in error.problems]
    valid = {
        key: value
        for key, value in body.items()
        if not any(path == f"$.{key}" or path.startswith((f"$.{key}.", f"$.{key}[", f"$['{key}")) for path in bad)
    }
    try:
        return request_reader.read({"name": "rule", "type": "", **valid}, kind)
    except Invalid:
        return None
