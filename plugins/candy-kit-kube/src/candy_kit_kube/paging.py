"""Reads lists page by page (Kubernetes API concepts, "Retrieving large results sets in chunks")."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, TypeVar

from candy_core import Json
from candy_kit_kube.api_errors import Gone, TooLarge
from candy_kit_kube.json_values import as_object, as_text

P_co = TypeVar("P_co", covariant=True)
"""The type of a page."""


class Fetch(Protocol[P_co]):
    """Sends one request: :meth:`Cluster.request <candy_kit_kube.Cluster.request>`, or with another decoder."""

    async def __call__(self, method: str, path: str, *, query: Mapping[str, str]) -> P_co:
        """Return the page."""
        ...


async def fetch_page(fetch: Fetch[P_co], path: str, query: Mapping[str, str], limit: int, token: str | None) -> P_co:
    """The page of at most ``limit`` objects at the continue ``token``; the first page for ``None``.

    It has fewer objects if the response would be too large otherwise. If the token has expired, it is the page at the
    same position in newer data if the API server offers that; otherwise :class:`Gone` is raised.
    """
    while True:
        page_query = {**query, "limit": str(limit)}
        if token:
            page_query["continue"] = token
        try:
            return await fetch("GET", path, query=page_query)
        except TooLarge:
            if limit == 1:
                raise
            limit = max(1, limit // 4)
        except Gone as error:
            if not token or not error.next_page or error.next_page == token:
                raise
            token = error.next_page


async def fetch_pages(
    fetch: Fetch[Json], path: str, query: Mapping[str, str], limit: int
) -> AsyncGenerator[Json, None]:
    """Every page of a list. Raises the errors of :func:`fetch_page`."""
    token: str | None = None
    while True:
        page = await fetch_page(fetch, path, query, limit, token)
        yield page
        token = next_token(page)
        if token is None:
            return


def next_token(page: Json) -> str | None:
    """The continue token of the page after this one, ``None`` on the last."""
    return as_text(as_object(as_object(page).get("metadata")).get("continue")) or None
