"""A cluster as plugins use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import orjson

from candy_core import BackendUnavailable, CandyError, Health, Json, Overloaded, PluginContext
from candy_kit_kube.api_errors import NoAnswer
from candy_kit_kube.api_session import ApiSession, Request, open_session
from candy_kit_kube.connections import Connections
from candy_kit_kube.json_values import members, text
from candy_kit_kube.paging import pages
from candy_kit_kube.settings import ClusterSettings, Surroundings
from candy_kit_kube.watching import Event, watch
from candy_kit_kube.yaml_body import dumps_for_yaml

_EMPTY: Final[Mapping[str, str]] = {}


class Cluster:
    """Asks one cluster: JSON values in and out, errors of :mod:`candy_core.errors`.

    Which cluster it is, and whether there is one, is found out at each call. Paths are those of the Kubernetes API,
    their parts quoted already (:meth:`RuleResource.path <candy_kit_kube.RuleResource.path>` does it).
    """

    def __init__(self, session: ApiSession, settings: ClusterSettings) -> None:
        self._session = session
        self._timeout = settings.timeout
        self._turns = asyncio.Semaphore(settings.max_concurrent)

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
        """Send one request and give the answer's JSON value, ``None`` for an empty one.

        ``timeout`` (seconds, the setting's by default) bounds the whole: waiting for a turn, finding the cluster,
        waiting as a 429 says. A credential that is not taken is read again, once, and the request repeated.

        Raises ``Forbidden`` (401, 403), ``NotFound``, ``Exists``, ``Stale``, ``FieldConflict``, ``Conflict`` (409),
        :class:`Gone` (410), ``Invalid`` (400, 413, 422, with the fields that the API server names as paths),
        ``Overloaded`` (429, after several tries), :class:`TooLarge`, and ``BackendUnavailable``: no cluster
        (:class:`NoCluster`), nobody there, no such resource (:class:`MissingResource`), 5xx, no answer in time
        (:class:`NoAnswer`). After the last a write may have happened all the same.
        """
        answer = await self.fetch(method, path, query=query, body=body, content_type=content_type, timeout=timeout)
        if not answer:
            return None
        try:
            value: Json = orjson.loads(answer)
        except ValueError:
            raise BackendUnavailable("the Kubernetes API answers with something that is not JSON") from None
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
    ) -> bytes:
        """The same, and the answer as it came: for who needs only a little of much. Raises as :meth:`request`."""
        seconds = self._timeout if timeout is None else timeout
        data = None if body is None else dumps_for_yaml(body)
        request = Request(method=method, path=path, query=query, data=data, content_type=content_type)
        until = asyncio.get_running_loop().time() + seconds
        turn = False
        try:
            async with asyncio.timeout_at(until), self._turns:
                turn = True
                return await self._session.call(request, until)
        except TimeoutError:
            if not turn:
                raise Overloaded(f"no turn to ask the Kubernetes API within {seconds:g} s") from None
            raise NoAnswer(f"the Kubernetes API gave no answer within {seconds:g} s") from None

    def pages(self, path: str, *, query: Mapping[str, str] = _EMPTY, limit: int = 500) -> AsyncGenerator[Json, None]:
        """The pages of a list, each as the API server gives it, of at most ``limit`` objects.

        Where a page is too large, smaller ones are asked for. Where the token to go on with has become too old, the
        list goes on from the same place in newer data, as the API server offers; where it offers nothing, :class:`Gone`
        is raised, and the list has to be begun anew. Otherwise raises as :meth:`request`.
        """
        return pages(self.request, path, query, limit)

    def watch(
        self, path: str, *, query: Mapping[str, str] = _EMPTY, resource_version: str
    ) -> AsyncGenerator[Event, None]:
        """What happens to the objects of a list after ``resource_version``, until the API server ends it (5 minutes).

        Raises :class:`Gone` where the version is too old, ``BackendUnavailable`` where the connection breaks, and
        otherwise as :meth:`request`. Takes no turn. Use ``contextlib.aclosing`` to end it earlier.
        """
        return watch(self._session, path, {**query, "resourceVersion": resource_version}, self._timeout)

    async def check(self) -> Health:
        """Whether there is a cluster that answers; its version is the detail. Never raises."""
        try:
            version = members(await self.request("GET", "/version"))
        except CandyError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=text(version.get("gitVersion")))


@asynccontextmanager
async def open_cluster(
    context: PluginContext, settings: ClusterSettings, surroundings: Surroundings | None = None
) -> AsyncIterator[Cluster]:
    """A cluster for the time of the block. Never fails for want of one: then each call does, until there is one."""
    connections = Connections(settings, surroundings or Surroundings(), context.tls, context.logger)
    async with open_session(context, connections) as session:
        yield Cluster(session, settings)
