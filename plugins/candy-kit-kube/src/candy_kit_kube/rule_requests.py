"""Requests for the objects of one resource, with a check of each response.

A proxy may respond in place of the API server. A 200 with an unexpected body is an error: it must not be taken for an
empty list or for a missing rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from candy_core import BackendUnavailable, Invalid, Json, Problem
from candy_kit_kube.api_errors import Gone, TooLarge
from candy_kit_kube.cluster import Cluster
from candy_kit_kube.json_values import as_object, as_text
from candy_kit_kube.paging import fetch_page
from candy_kit_kube.rule_resource import RuleResource

_EMPTY: Final[Mapping[str, str]] = {}


class RuleRequests:
    """Sends requests for objects of ``resource``. Raises the errors of ``Cluster.request`` that ``RuleBackend`` allows;
    the others become ``BackendUnavailable``.
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
        """Send a request for the object at ``path`` and return the object; after a DELETE return any response."""
        with _port_errors():
            found = await self._cluster.request(method, path, query=query, body=body, content_type=content_type)
        name = as_text(as_object(as_object(found).get("metadata")).get("name"))
        if method != "DELETE" and name != path.rpartition("/")[2]:
            raise BackendUnavailable(f"the response of the Kubernetes API is not a {self._resource.kind}")
        return found

    async def page(self, namespace: str | None, limit: int, cursor: str | None) -> Json:
        """A page of the list. Raises ``Invalid`` for a ``cursor`` that is invalid or has expired."""
        try:
            with _port_errors(exclude=Gone if cursor else None):
                page = await fetch_page(self._cluster.request, self._resource.path(namespace), {}, limit, cursor)
        except Gone:
            raise Invalid([Problem("cursor", "has expired: start the list again")]) from None
        except Invalid as error:
            if not cursor:
                raise
            raise Invalid([Problem("cursor", "expected a next_cursor of this list, unchanged")]) from error
        document = as_object(page)
        # The items of an empty list may be null, but they must be present.
        if not as_text(document.get("kind")).endswith("List") or not isinstance(document.get("items", 0), list | None):
            raise BackendUnavailable(f"the response of the Kubernetes API is not a list of {self._resource.kind}")
        return page


@contextmanager
def _port_errors(exclude: type[Exception] | None = None) -> Iterator[None]:
    try:
        yield
    except (Gone, TooLarge) as error:
        if exclude is not None and isinstance(error, exclude):
            raise
        raise BackendUnavailable(str(error)) from None
