"""Lists, page by page (Kubernetes API concepts, "Retrieving large results sets in chunks")."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, TypeVar

from candy_core import Json
from candy_kit_kube.api_errors import Gone, TooLarge
from candy_kit_kube.json_values import members, text

P_co = TypeVar("P_co", covariant=True)
"""What a page is read as."""


class Ask(Protocol[P_co]):
    """Sends one request: :meth:`Cluster.request <candy_kit_kube.Cluster.request>`, or reads what came otherwise."""

    async def __call__(self, method: str, path: str, *, query: Mapping[str, str]) -> P_co:
        """Give the answer, by default as its JSON value."""
        ...


async def page(ask: Ask[P_co], path: str, query: Mapping[str, str], limit: int, token: str | None) -> P_co:
    """The page of at most ``limit`` objects that ``token`` leads to, the first for ``None``.

    It holds fewer where the answer would be too large otherwise. With a token that is too old it is the page from the
    same place in newer data, if the API server offers that, else :class:`Gone` is raised.
    """
    while True:
        asked = {**query, "limit": str(limit)}
        if token:
            asked["continue"] = token
        try:
            return await ask("GET", path, query=asked)
        except TooLarge:
            if limit == 1:
                raise
            limit = max(1, limit // 4)
        except Gone as error:
            if not token or not error.next_page or error.next_page == token:
                raise
            token = error.next_page


async def pages(ask: Ask[Json], path: str, query: Mapping[str, str], limit: int) -> AsyncGenerator[Json, None]:
    """Every page of a list. Raises as :func:`page`."""
    token: str | None = None
    while True:
        found = await page(ask, path, query, limit, token)
        yield found
        token = next_token(found)
        if token is None:
            return


def next_token(found: Json) -> str | None:
    """What leads to the page after this one, ``None`` on the last."""
    return text(members(members(found).get("metadata")).get("continue")) or None
