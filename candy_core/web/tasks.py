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
from candy_core.web.call import Call
from candy_core.web.operation import Answer, Operation, PageQuery, answer, json_answer
from candy_core.web.requests import is_task_id, preferences, read_json
from candy_core.web.services import Services

_ONE = {"task_id": "The task's id."}


@frozen(kw_only=True)
class SubmitQuery:
    """``dry_run=true``: check the request and say what would become of each item, without running anything."""

    dry_run: Literal["true", "false"] = "false"


@frozen(kw_only=True)
class ListQuery(PageQuery):
    """Which tasks, and how many of them in one answer."""

    status: TaskStatus | None = None


@frozen(kw_only=True)
class DryRun:
    """What would become of each item."""

    items: tuple[ItemCheck, ...]


@frozen(kw_only=True)
class CanceledTask(TaskState):
    """A task's status object, and whether it has really stopped."""

    success: bool


class Tasks:
    """The handlers."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine

    async def submit(self, call: Call) -> web.Response:
        """POST /api/v1/task."""
        body = await read_json(call)
        query = call.query(SubmitQuery)
        handling = preferences(call.request).get("handling") if "Prefer" in call.request.headers else None
        strict = handling == "strict"
        headers = {"Preference-Applied": f"handling={handling}"} if handling in ("strict", "lenient") else {}
        if query.dry_run == "true":
            checks = await self._engine.dry_run(body, call.scopes, strict=strict)
            return answer(DryRun(items=checks), headers=headers)
        submitted = await self._engine.submit(body, call.scopes, strict=strict)
        headers["Location"] = f"/api/v1/tasks/{submitted.state.task_id}"
        return answer(submitted.state, status=202 if submitted.created else 200, headers=headers)

    async def list(self, call: Call) -> web.Response:
        """GET /api/v1/tasks."""
        query = call.query(ListQuery)
        return answer(await self._engine.store.list(status=query.status, limit=query.limit, cursor=query.cursor))

    async def read(self, call: Call) -> web.Response:
        """GET /api/v1/tasks/{task_id}."""
        task_id = _task_id(call)
        state = await self._engine.store.read(task_id)
        if state is None:
            raise _unknown(task_id)
        return answer(state)

    async def cancel(self, call: Call) -> web.Response:
        """DELETE /api/v1/tasks/{task_id}."""
        state, success = await self._engine.cancel(_task_id(call))
        return answer(CanceledTask(**attrs.asdict(state, recurse=False), success=success))

    async def result(self, call: Call) -> web.Response:
        """GET /api/v1/results/{task_id}: the store's bytes as they are."""
        task_id = _task_id(call)
        document = await self._engine.store.read_result(task_id)
        if document is None:
            raise _unknown(task_id)
        return json_answer(document)

    async def log(self, call: Call) -> web.Response:
        """GET /api/v1/tasks/{task_id}/logs."""
        task_id = _task_id(call)
        log = await self._engine.store.read_log(task_id)
        if log is None:
            raise _unknown(task_id)
        return answer(log)


def operations(services: Services) -> tuple[Operation, ...]:
    """The routes of tasks."""
    tasks = Tasks(services)
    state = Answer("The task's status.", TaskState)
    return (
        Operation(
            method="POST",
            path="/api/v1/task",
            handler=tasks.submit,
            scope="tasks:write",
            tag="tasks",
            summary="Submit a task",
            description="The same task_id with an equal body is answered and not run again. With Prefer: "
            "handling=strict an unknown type or wrong params of any item refuse the whole task.",
            query=SubmitQuery,
            header_parameters={"Prefer": "handling=strict refuses the task where one of its items is wrong."},
            body=TaskRequest,
            answers={
                200: Answer("The same task was there already; or, for a dry run, what was found.", TaskState | DryRun),
                202: Answer("The task was taken in.", TaskState, headers={"Location": "The task's path."}),
            },
            codes=("conflict", "queue_full", "draining", "overloaded"),
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks",
            handler=tasks.list,
            scope="tasks:read",
            tag="tasks",
            summary="List tasks, newest first",
            query=ListQuery,
            answers={200: Answer("A page of tasks; next_cursor is null on the last.", TaskPage)},
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks/{task_id}",
            handler=tasks.read,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's status",
            path_parameters=_ONE,
            answers={200: state},
        ),
        Operation(
            method="DELETE",
            path="/api/v1/tasks/{task_id}",
            handler=tasks.cancel,
            scope="tasks:write",
            tag="tasks",
            summary="Cancel a task",
            description="Answers once the task has really stopped; after 30 seconds with success false.",
            path_parameters=_ONE,
            answers={200: Answer("The task's status, and whether it has stopped.", CanceledTask)},
            codes=("ended",),
        ),
        Operation(
            method="GET",
            path="/api/v1/results/{task_id}",
            handler=tasks.result,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's results; while it runs, the results so far",
            path_parameters=_ONE,
            answers={200: Answer("The result object.", TaskResult)},
        ),
        Operation(
            method="GET",
            path="/api/v1/tasks/{task_id}/logs",
            handler=tasks.log,
            scope="tasks:read",
            tag="tasks",
            summary="Read a task's execution log",
            path_parameters=_ONE,
            answers={200: Answer("The log, oldest entry first.", TaskLog)},
        ),
    )


def _task_id(call: Call) -> str:
    task_id = call.path("task_id")
    if not is_task_id(task_id):
        raise NotFound("No task can have this id.")
    return task_id


def _unknown(task_id: str) -> NotFound:
    return NotFound(f"There is no task {task_id} here, or not any more.")
