"""Requests about the objects of one resource: what comes back is looked at before anybody believes it.

Something else than an API server may answer in its place, a proxy say. 200 with something else than was asked for is no
answer: it must not be taken for an empty list, or for a rule that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from candy_core import BackendUnavailable, Invalid, Json, Problem
from candy_kit_kube.api_errors import Gone, TooLarge
from candy_kit_kube.cluster import Cluster
from candy_kit_kube.json_values import members, text
from candy_kit_kube.paging import page
from candy_kit_kube.rule_resource import RuleResource

_EMPTY: Final[Mapping[str, str]] = {}


class RuleRequests:
    """Asks a cluster about objects of ``resource``. Raises as ``Cluster.request``, and of that only what is the port's:
    what has no name there is a ``BackendUnavailable``.
    """

    def __init__(self, cluster: Cluster, resource: RuleResource) -> None:
        self._cluster = cluster
        self._resource = resource

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = _EMPTY,
        body: Json = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send a request about the object at ``path``, and give that object; for a DELETE whatever the answer is."""
        with _in_words_of_the_port():
            found = await self._cluster.request(method, path, query=query, body=body, content_type=content_type)
        name = text(members(members(found).get("metadata")).get("name"))
        if method != "DELETE" and name != path.rpartition("/")[2]:
            raise BackendUnavailable(f"the Kubernetes API answers with something that is no {self._resource.kind}")
        return found

    async def page(self, namespace: str | None, limit: int, cursor: str | None) -> Json:
        """A page of the list. Raises ``Invalid`` for a ``cursor`` that is none, or too old."""
        try:
            with _in_words_of_the_port(but=Gone if cursor else None):
                found = await page(self._cluster.request, self._resource.path(namespace), {}, limit, cursor)
        except Gone:
            raise Invalid([Problem("cursor", "is too old; begin the list anew")]) from None
        except Invalid as error:
            if not cursor:
                raise
            raise Invalid([Problem("cursor", "expected a next_cursor of this list, unchanged")]) from error
        told = members(found)
        # An empty list may be null; what has neither items nor the kind of a list is none.
        if not text(told.get("kind")).endswith("List") or not isinstance(told.get("items", 0), list | None):
            raise BackendUnavailable(
                f"the Kubernetes API answers with something that is no list of {self._resource.kind}"
            )
        return found


@contextmanager
def _in_words_of_the_port(but: type[Exception] | None = None) -> Iterator[None]:
    try:
        yield
    except (Gone, TooLarge) as error:
        if but is not None and isinstance(error, but):
            raise
        raise BackendUnavailable(str(error)) from None
