"""Every object of one kind, page by page.

Lists are asked for without ``resourceVersion``: with ``0`` the API server would answer from its cache, and all at once,
whatever the limit (Kubernetes API concepts, "Retrieving large results sets in chunks").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from candy_kit_kube import Cluster, MissingResource
from candy_kit_kube.json_values import members, text

from candy_core import CandyError, Json
from candy_kubernetes.checks import Resource

PAGE = 500
"""Objects asked for at once."""


class NotAList(CandyError):
    """An answer that is no list. To take it for an empty one would be to say that all is well."""


class Listing:
    """Lists the objects of a cluster, and remembers which version of a resource it serves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._served: dict[Resource, str] = {}

    async def pages(
        self, resource: Resource, namespace: str | None, label_selector: str
    ) -> AsyncIterator[Sequence[Mapping[str, Json]]]:
        """The objects of each page. Raises :class:`NotAList`, and otherwise as ``Cluster.pages``."""
        query = {}
        if resource.field_selector:
            query["fieldSelector"] = resource.field_selector
        if label_selector and resource.selected:
            query["labelSelector"] = label_selector
        known = self._served.get(resource, resource.versions[0])
        versions = [known, *(version for version in resource.versions if version != known)]
        for version in versions:
            try:
                async for page in self._cluster.pages(resource.path(version, namespace), query=query, limit=PAGE):
                    self._served[resource] = version
                    yield _objects(page)
                return
            except MissingResource:
                if version == versions[-1]:
                    raise


def _objects(page: Json) -> Sequence[Mapping[str, Json]]:
    """What is in a page; the list of an empty one may be ``null``."""
    found = members(page)
    items = found.get("items")
    if not text(found.get("kind")).endswith("List") or not isinstance(items, list | None):
        raise NotAList("the Kubernetes API answers with something that is no list")
    return [members(each) for each in items or ()]
