"""Callbacks that were given up (contract section 2)."""

from __future__ import annotations

from aiohttp import web
from attrs import frozen

from candy_core.errors import NotFound
from candy_core.ports.task_store import DeadLetterPage
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, PageQuery, answer
from candy_core.web.requests import is_task_id
from candy_core.web.services import Services


@frozen(kw_only=True)
class Revived:
    """A dead letter that waits for its delivery again."""

    id: str
    status: str


class DeadLetters:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._store = services.engine.store

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/deadletters."""
        query = call.query(PageQuery)
        return answer(await self._store.dead_letters(limit=query.limit, cursor=query.cursor))

    async def retry(self, call: Call) -> web.Response:
        """POST /api/v1/deadletters/{id}/retry."""
        identifier = call.path("id")
        if not is_task_id(identifier):  # ids of deliveries are made of the same characters
            raise NotFound("No dead letter can have this id.")
        await self._store.requeue(identifier)
        return answer(Revived(id=identifier, status="waiting"), status=202)


def operations(services: Services) -> tuple[Operation, ...]:
    """The routes of dead letters."""
    letters = DeadLetters(services)
    return (
        Operation(
            method="GET",
            path="/api/v1/deadletters",
            handler=letters.list,
            scope="tasks:write",
            tag="dead letters",
            summary="List the callbacks that were given up, newest first",
            query=PageQuery,
            answers={200: Answer("A page of dead letters; next_cursor is null on the last.", DeadLetterPage)},
        ),
        Operation(
            method="POST",
            path="/api/v1/deadletters/{id}/retry",
            handler=letters.retry,
            scope="tasks:write",
            tag="dead letters",
            summary="Send a callback again",
            path_parameters={"id": "The dead letter's id."},
            answers={202: Answer("It waits for its delivery again, with a fresh age.", Revived)},
        ),
    )
