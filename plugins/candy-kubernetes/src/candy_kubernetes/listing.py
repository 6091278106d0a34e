"""Every object of one kind, page by page.

Lists are asked for without ``resourceVersion``: with ``0`` the API server would answer from its cache, and all at once,
whatever the limit (Kubernetes API concepts, "Retrieving large results sets in chunks").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from candy_core import CandyError, Json
from candy_kit_kube import Cluster, MissingResource
from candy_kit_kube.json_values import text
from candy_kit_kube.paging import page
from candy_kubernetes.checks import Resource
from candy_kubernetes.page import Page

PAGE = 500
"""Objects asked for at once."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading an answer may raise: no JSON, another shape, no UTF-8, nested without end."""


class NotAList(CandyError):
    """An answer that is no list of such objects. To take it for an empty one would be to say that all is well."""


class Listing:
    """Lists the objects of a cluster, and remembers which version of a resource it serves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._served: dict[Resource, str] = {}
        self._decoders: dict[Resource, msgspec.json.Decoder[Page[Any]]] = {}

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
                async for things in self._of_version(resource, version, namespace, query):
                    self._served[resource] = version
                    yield things
                return
            except MissingResource:
                if version == versions[-1]:
                    raise

    async def _of_version(
        self, resource: Resource, version: str, namespace: str | None, query: Mapping[str, str]
    ) -> AsyncIterator[Sequence[Mapping[str, Json]]]:
        decoder = self._decoders.setdefault(resource, msgspec.json.Decoder(resource.page))

        async def ask(method: str, path: str, *, query: Mapping[str, str]) -> Page[Any]:
            try:
                return decoder.decode(await self._cluster.fetch(method, path, query=query))
            except _UNREADABLE as error:
                raise NotAList(f"the Kubernetes API answers with no list of {resource.name}: {error}") from None

        token: str | None = None
        while True:
            found = await page(ask, resource.path(version, namespace), query, PAGE, token)
            if not found.kind.endswith("List") or found.items is msgspec.UNSET:
                raise NotAList(f"the Kubernetes API answers with no list of {resource.name}")
            yield found.items or ()
            token = None if found.metadata is msgspec.UNSET else text(found.metadata.get("continue")) or None
            if token is None:
                return
