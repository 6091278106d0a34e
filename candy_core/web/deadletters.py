"""Dead letters: deliveries that were given up (contract section 2)."""

from __future__ import annotations

from aiohttp import web
from attrs import frozen

from candy_core.errors import NotFound
from candy_core.ports.task_store import DeadLetterPage
from candy_core.web.operation import Operation, PageQuery, ResponseSpec, json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.requests import is_task_id
from candy_core.web.services import Services


@frozen(kw_only=True)
class RequeuedDeadLetter:
    """A dead letter that is queued for delivery again."""

    id: str
    status: str


class DeadLetterHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._store = services.engine.store

    async def list(self, context: RequestContext) -> web.Response:
        """GET /api/v1/deadletters."""
        query = context.query(PageQuery)
        return json_response(await self._store.dead_letters(limit=query.limit, cursor=query.cursor))

    async def retry(self, context: RequestContext) -> web.Response:
        """POST /api/v1/deadletters/{id}/retry."""
        identifier = context.path("id")
        if not is_task_id(identifier):  # delivery ids have the same syntax
            raise NotFound("This is not a valid dead letter id.")
        await self._store.requeue(identifier)
        return json_response(RequeuedDeadLetter(id=identifier, status="waiting"), status=202)


def operations(services: Services) -> tuple[Operation, ...]:
    """Dead letter operations."""
    handlers = DeadLetterHandlers(services)
    return (
        Operation(
            method="GET",
            path="/api/v1/deadletters",
            handler=handlers.list,
            scope="tasks:write",
            tag="dead letters",
            summary="List dead letters, newest first",
            query=PageQuery,
            responses={
                200: ResponseSpec("A page of dead letters. next_cursor is null on the last one.", DeadLetterPage)
            },
        ),
        Operation(
            method="POST",
            path="/api/v1/deadletters/{id}/retry",
            handler=handlers.retry,
            scope="tasks:write",
            tag="dead letters",
            summary="Requeue a dead letter",
            path_parameters={"id": "The dead letter's id."},
            responses={
                202: ResponseSpec("It is queued for delivery again, and its age starts anew.", RequeuedDeadLetter)
            },
        ),
    )
