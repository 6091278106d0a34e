"""Lists all objects of one kind, page by page.

Lists are requested without ``resourceVersion``: with ``0`` the API server would return the whole list from its cache
and ignore the limit (Kubernetes API concepts, "Retrieving large results sets in chunks").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from candy_core import CandyError, Json
from candy_kit_kube import Cluster, MissingResource, as_text, fetch_page
from candy_kubernetes.checks import Resource
from candy_kubernetes.page import Page

PAGE_SIZE = 500
"""Objects in a page."""
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding may raise: not JSON, another type, not UTF-8, nested too deeply."""


class NotAList(CandyError):
    """The response is not a list of such objects. Treating it as an empty list would hide every offender."""


class Listing:
    """Lists objects of a cluster, and remembers which version of each resource it serves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._served: dict[Resource, str] = {}
        self._decoders: dict[Resource, msgspec.json.Decoder[Page[Any]]] = {}

    async def pages(
        self, resource: Resource, namespace: str | None, label_selector: str
    ) -> AsyncIterator[Sequence[Mapping[str, Json]]]:
        """The objects of each page. Raises :class:`NotAList` and the errors of ``Cluster.pages``."""
        query = {}
        if resource.field_selector:
            query["fieldSelector"] = resource.field_selector
        if label_selector and resource.selected:
            query["labelSelector"] = label_selector
        first = self._served.get(resource, resource.versions[0])
        versions = [first, *(version for version in resource.versions if version != first)]
        for version in versions:
            try:
                async for objects in self._of_version(resource, version, namespace, query):
                    self._served[resource] = version
                    yield objects
                return
            except MissingResource:
                if version == versions[-1]:
                    raise

    async def _of_version(
        self, resource: Resource, version: str, namespace: str | None, query: Mapping[str, str]
    ) -> AsyncIterator[Sequence[Mapping[str, Json]]]:
        decoder = self._decoders.setdefault(resource, msgspec.json.Decoder(resource.page))

        async def fetch(method: str, path: str, *, query: Mapping[str, str]) -> Page[Any]:
            try:
                return decoder.decode(await self._cluster.fetch(method, path, query=query))
            except _DECODE_ERRORS as error:
                raise NotAList(
                    f"the response of the Kubernetes API is not a list of {resource.name}: {error}"
                ) from None

        token: str | None = None
        while True:
            page = await fetch_page(fetch, resource.path(version, namespace), query, PAGE_SIZE, token)
            if not page.kind.endswith("List") or page.items is msgspec.UNSET:
                raise NotAList(f"the response of the Kubernetes API is not a list of {resource.name}")
            yield page.items or ()
            token = None if page.metadata is msgspec.UNSET else as_text(page.metadata.get("continue")) or None
            if token is None:
                return
