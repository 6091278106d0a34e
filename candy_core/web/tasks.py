"""Tasks, their results and their execution logs (contract section 2)."""

from __future__ import annotations

from typing import Literal

import attrs
from aiohttp import web
from attrs import frozen

from candy_core.engine.intake import ItemCheck
from candy_core.errors import NotFound
from candy_core.model.task import TaskLog, TaskRequest, TaskResult, TaskState, TaskStatus
from candy_core.ports.task_store import TaskPage
from candy_core.web.operation import Operation, PageQuery, ResponseSpec, json_response, raw_json_response
from candy_core.web.request_context import RequestContext
from candy_core.web.requests import is_task_id, preferences, read_json
from candy_core.web.services import Services

_TASK_ID = {"task_id": "The task's id."}


@frozen(kw_only=True)
class SubmitQuery:
    """``dry_run=true``: check the request and each item, without running anything."""

    dry_run: Literal["true", "false"] = "false"


@frozen(kw_only=True)
class ListQuery(PageQuery):
    """A filter, and paging."""

    status: TaskStatus | None = None


@frozen(kw_only=True)
class DryRun:
    """What was found for each item."""

    items: tuple[ItemCheck, ...]


@frozen(kw_only=True)
class CanceledTask(TaskState):
    """A task's status object, and whether it has stopped."""

    success: bool


class TaskHandlers:
    """The handlers of :func:`operations`."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine

    async def submit(self, context: RequestContext) -> web.Response:
        """POST /api/v1/task."""
        body = await read_json(context)
        query = context.query(SubmitQuery)
        handling = preferences(context.request).get("handling") if "Prefer" in context.request.headers else None
        strict = handling == "strict"
        headers = {"Preference-Applied": f"handling={handling}"} if handling in ("strict", "lenient") else {}
        if query.dry_run == "true":
            checks = await self._engine.dry_run(body, context.scopes, strict=strict)
            return json_response(DryRun(items=checks), headers=headers)
        submitted = await self._engine.submit(body, context.scopes, strict=strict)
        headers["Location"] = f"/api/v1/tasks/{submitted.state.task_id}"
        return json_response(submitted.state, status=202 if submitted.created else 200, headers=headers)

    async def list(self, context: RequestContext) -> web.Response:
        """GET /api/v1/tasks."""
        query = context.query(ListQuery)
        return json_response(await self._engine.store.list(status=query.status, limit=query.limit, cursor=query.cursor))

    async def read(self, context: RequestContext) -> web.Response:
        """GET /api/v1/tasks/{task_id}."""
        task_id = _task_id(context)
        state = await self._engine.store.read(task_id)
        if state is None:
            raise _unknown(task_id)
        return json_response(state)

    async def cancel(self, context: RequestContext) -> web.Response:
        """DELETE /api/v1/tasks/{task_id}."""
        state, success = await self._engine.cancel(_task_id(context))
        return json_response(CanceledTask(**attrs.asdict(state, recurse=False), success=success))

    async def result(self, context: RequestContext) -> web.Response:
        """GET /api/v1/results/{task_id}: the store's bytes, unchanged."""
        task_id = _task_id(context)
        document = await self._engine.store.read_result(task_id)
        if document is None:
            raise _unknown(task_id)
        return raw_json_response(document)

    async def log(self, context: RequestContext) -> web.Response:
        """GET /api/v1/tasks/{task_id}/logs."""
        task_id = _task_id(context)
        log = await self._engine.store.read_log(task_id)
        if log is None:
            raise _unknown(task_id)
        return json_response(log)


def operations(services: Services) -> tuple[Operation, ...]:
    """Task operations."""
    handlers = TaskHandlers(services)
    state = ResponseSpec("The task's status.", TaskState)
    return (
        Operation(
            method="POST",
            path="/api/v1/task",
            handler=handlers.submit,
            scope="tasks:write",
            tag="tasks",
            summary="Submit a task",
            description="The same task_id with an equal body returns the status and does not run again. With Prefer: "
            "handling=strict the whole task is rejected if any item has an unknown type or wrong params.",
            query=SubmitQuery,
            header_parameters={"Prefer": "handling=strict rejects the task if one of its items is wrong."},
            body=TaskRequest,
            responses={
                200: ResponseSpec("The task existed already; or the result of a dry run.", TaskState | DryRun),
                202: ResponseSpec("The task was accepted.", TaskState, headers={"Location": "The task's path."}),
            },
            codes=("conflict", "queue_full", "draining", "overloaded"),
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks",
            handler=handlers.list,
            scope="tasks:read",
            tag="tasks",
            summary="List tasks, newest first",
            query=ListQuery,
            responses={200: ResponseSpec("A page of tasks. next_cursor is null on the last one.", TaskPage)},
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks/{task_id}",
            handler=handlers.read,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's status",
            path_parameters=_TASK_ID,
            responses={200: state},
        ),
        Operation(
            method="DELETE",
            path="/api/v1/tasks/{task_id}",
            handler=handlers.cancel,
            scope="tasks:write",
            tag="tasks",
            summary="Cancel a task",
            description="Returns when the task has stopped, or after 30 seconds with success false.",
            path_parameters=_TASK_ID,
            responses={200: ResponseSpec("The task's status, and whether it has stopped.", CanceledTask)},
            codes=("ended",),
        ),
        Operation(
            method="GET",
            path="/api/v1/results/{task_id}",
            handler=handlers.result,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's results; while it runs, the results so far",
            path_parameters=_TASK_ID,
            responses={200: ResponseSpec("The result object.", TaskResult)},
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks/{task_id}/logs",
            handler=handlers.log,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's execution log",
            path_parameters=_TASK_ID,
            responses={200: ResponseSpec("The log, oldest entry first.", TaskLog)},
        ),
    )


def _task_id(context: RequestContext) -> str:
    task_id = context.path("task_id")
    if not is_task_id(task_id):
        raise NotFound("This is not a valid task id.")
    return task_id


def _unknown(task_id: str) -> NotFound:
    return NotFound(f"The task {task_id} does not exist, or not any more.")
