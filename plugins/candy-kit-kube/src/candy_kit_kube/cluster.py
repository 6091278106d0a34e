"""A cluster: the interface that plugins use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import orjson

from candy_core import BackendUnavailable, CandyError, Health, Json, Overloaded, PluginContext
from candy_kit_kube.api_errors import NoAnswer
from candy_kit_kube.api_session import ApiSession, Request
from candy_kit_kube.connection_cache import ConnectionCache
from candy_kit_kube.json_values import as_object, as_text
from candy_kit_kube.paging import fetch_pages
from candy_kit_kube.settings import ClusterSettings, Environment
from candy_kit_kube.watching import Event, watch
from candy_kit_kube.yaml_body import dumps_for_yaml

_EMPTY: Final[Mapping[str, str]] = {}


class Cluster:
    """Sends requests to one cluster: JSON values in and out, errors of ``candy_core``.

    The cluster is found at the first call and may change later. Paths are those of the Kubernetes API, with each
    segment quoted already (:meth:`RuleResource.path <candy_kit_kube.RuleResource.path>` does that).
    """

    def __init__(self, session: ApiSession, settings: ClusterSettings) -> None:
        self._session = session
        self._timeout = settings.timeout
        self._slots = asyncio.Semaphore(settings.max_concurrent)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = _EMPTY,
        body: Json = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> Json:
        """Send one request and return the JSON value of the response, ``None`` for an empty one.

        ``timeout`` (seconds, the setting's by default) bounds the whole call: waiting for a request slot, finding the
        cluster, waiting after a 429. After a 401 the credential is read again and the request repeated, once.

        Raises ``Forbidden`` (401, 403), ``NotFound``, ``Exists``, ``Stale``, ``FieldConflict``, ``Conflict`` (409),
        :class:`Gone` (410), ``Invalid`` (400, 413, 422, with the fields that the API server names as paths),
        ``Overloaded`` (429, after several tries), :class:`TooLarge`, and ``BackendUnavailable``: no cluster
        (:class:`NoCluster`), no connection, no such resource (:class:`MissingResource`), 5xx, no response in time
        (:class:`NoAnswer`). After the last a write may still have happened.
        """
        response = await self.fetch(method, path, query=query, body=body, content_type=content_type, timeout=timeout)
        if not response:
            return None
        try:
            value: Json = orjson.loads(response)
        except ValueError:
            raise BackendUnavailable("the response of the Kubernetes API is not JSON") from None
        return value

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = _EMPTY,
        body: Json = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> bytes | bytearray:
        """Like :meth:`request`, but return the undecoded body, for callers with a decoder of their own."""
        seconds = self._timeout if timeout is None else timeout
        data = None if body is None else dumps_for_yaml(body)
        request = Request(method=method, path=path, query=query, data=data, content_type=content_type)
        deadline = asyncio.get_running_loop().time() + seconds
        has_slot = False
        try:
            async with asyncio.timeout_at(deadline), self._slots:
                has_slot = True
                return await self._session.call(request, deadline)
        except TimeoutError:
            if not has_slot:
                raise Overloaded(f"no slot for a request to the Kubernetes API within {seconds:g} s") from None
            raise NoAnswer(f"no response from the Kubernetes API within {seconds:g} s") from None

    def pages(self, path: str, *, query: Mapping[str, str] = _EMPTY, limit: int = 500) -> AsyncGenerator[Json, None]:
        """The pages of a list, as JSON values, each with at most ``limit`` objects.

        If a page is too large, smaller ones are requested. If the continue token has expired, the list continues from
        the same position in newer data if the API server offers that; otherwise :class:`Gone` is raised, and the list
        has to be started again. Other errors are those of :meth:`request`.
        """
        return fetch_pages(self.request, path, query, limit)

    def watch(
        self, path: str, *, query: Mapping[str, str] = _EMPTY, resource_version: str
    ) -> AsyncGenerator[Event, None]:
        """Changes to the objects of a list after ``resource_version``, until the API server ends the watch (5 minutes).

        Raises :class:`Gone` if the version is too old, ``BackendUnavailable`` if the connection is lost, and the errors
        of :meth:`request`. Needs no request slot. Use ``contextlib.aclosing`` to end it earlier.
        """
        return watch(self._session, path, {**query, "resourceVersion": resource_version}, self._timeout)

    async def check(self) -> Health:
        """Whether the cluster can be reached; its version is the detail. Never raises."""
        try:
            version = as_object(await self.request("GET", "/version"))
        except CandyError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=as_text(version.get("gitVersion")))


@asynccontextmanager
async def open_cluster(
    context: PluginContext, settings: ClusterSettings, environment: Environment | None = None
) -> AsyncIterator[Cluster]:
    """A cluster for the duration of the block. Nothing is connected yet: without a cluster each call fails."""
    connections = ConnectionCache(settings, environment or Environment(), context.tls, context.logger)
    # The slots bound the requests; a watch must not use up a connection that they need.
    async with context.http(connect_timeout=None) as http:
        yield Cluster(ApiSession(connections, http), settings)
