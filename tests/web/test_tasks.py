"""Tasks over REST (contract section 2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Client, Opened, item


async def submit(client: Client, **task: Any) -> Any:
    answer = await client.request("POST", "/api/v1/task", json={"items": [item()], **task})
    assert answer.status == 202, answer
    return answer


async def test_a_task_is_202_with_location_and_status_object(client: Client) -> None:
    """Contract §2: 'POST /api/v1/task | 202, Location, the task's status object'."""
    answer = await submit(client, task_id="12345")
    assert answer.headers["Location"] == "/api/v1/tasks/12345"
    assert set(answer.body) == {"task_id", "status", "message", "start_time", "end_time", "priority", "progress"}
    assert answer.body["status"] in ("pending", "running")
    assert set(answer.body["progress"]) == {"total", "done", "running", "normal", "warning", "critical", "failed"}
    assert (await client.request("GET", answer.headers["Location"])).body["task_id"] == "12345"


async def test_the_same_task_again_is_200_and_another_body_is_409(client: Client) -> None:
    """Contract §2: 'equal as a JSON value: 200 and the present status, run once. With another body: 409 conflict'."""
    await submit(client, task_id="t1")
    again = await client.request("POST", "/api/v1/task", json={"task_id": "t1", "items": [item()]})
    assert again.status == 200
    assert again.body["task_id"] == "t1"
    await client.rejected(409, "conflict", "POST", "/api/v1/task", json={"task_id": "t1", "items": [item(2)]})


async def test_a_result_has_one_entry_for_each_item(client: Client) -> None:
    """Contract §2: 'Every item of the request has exactly one result once the task has ended'."""
    answer = await submit(client, items=[item(1, say="one"), {"id": "b", "type": "nothing"}])
    state = await client.wait_ended(answer.body["task_id"])
    assert state["message"] == "Task completed with some failures"
    assert state["start_time"].endswith("Z")
    result = (await client.request("GET", f"/api/v1/results/{state['task_id']}")).body
    assert [(entry["item_id"], entry["status"], entry["reason"]) for entry in result["results"]] == [
        (1, "normal", "ok"),
        ("b", "failed", "unknown_type"),
    ]
    assert result["results"][0]["value"] == "one"


async def test_a_dry_run_checks_each_item(client: Client) -> None:
    """Contract §2: '200 {"items":[{"item_id","ok","reason","message"}]}, nothing run'."""
    body = {"task_id": "dry", "items": [item(1), {"id": 2, "type": "nap", "params": {"seconds": "x"}}]}
    answer = await client.request("POST", "/api/v1/task?dry_run=true", json=body)
    assert answer.status == 200
    first, second = answer.body["items"]
    assert first == {"item_id": 1, "ok": True, "reason": "ok", "message": ""}
    assert (second["item_id"], second["ok"], second["reason"]) == (2, False, "bad_params")
    assert "seconds" in second["message"]
    await client.rejected(404, "not_found", "GET", "/api/v1/tasks/dry")


async def test_strict_handling_rejects_the_whole_task(client: Client) -> None:
    """Contract §2: 'With Prefer: handling=strict the whole task is refused with 422 and every problem listed'."""
    body = {"items": [item(1, seconds="x", tyme=1), {"id": 2, "type": "nothing"}, item(3)]}
    answer = await client.rejected(
        422, "invalid", "POST", "/api/v1/task", json=body, headers={"Prefer": 'respond-async, Handling="strict";x=1'}
    )
    paths = {problem["path"] for problem in answer.body["errors"]}
    assert paths == {"$.items[0].params.seconds", "$.items[0].params.tyme", "$.items[1].type"}
    kept = await client.request("POST", "/api/v1/task", json=body)
    assert kept.status == 202
    assert "Preference-Applied" not in kept.headers
    body["items"] = [item()]
    honoured = await client.request("POST", "/api/v1/task", json=body, headers={"Prefer": "handling=strict"})
    assert honoured.headers["Preference-Applied"] == "handling=strict"


async def test_cancel_returns_when_the_task_has_stopped(client: Client) -> None:
    """Contract §2: 'DELETE … 200, the status object plus "success":true, once the task has really stopped'."""
    task_id = (await submit(client, items=[item(1, seconds=600)])).body["task_id"]
    answer = await client.request("DELETE", f"/api/v1/tasks/{task_id}")
    assert answer.status == 200
    assert answer.body["success"] is True
    assert answer.body["status"] == "canceled"
    await client.rejected(409, "ended", "DELETE", f"/api/v1/tasks/{task_id}")


async def test_tasks_are_listed_with_paging(client: Client) -> None:
    """Contract §2: '{"tasks":[status object…],"next_cursor"}; ?status=&limit=&cursor='."""
    for number in range(3):
        await client.wait_ended((await submit(client, task_id=f"t{number}")).body["task_id"])
    first = (await client.request("GET", "/api/v1/tasks?limit=2&status=completed")).body
    assert len(first["tasks"]) == 2
    rest = (await client.request("GET", f"/api/v1/tasks?limit=2&cursor={first['next_cursor']}")).body
    assert rest["next_cursor"] is None
    assert {task["task_id"] for task in first["tasks"] + rest["tasks"]} == {"t0", "t1", "t2"}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("limit=ten", "query.limit"),
        ("limit=%FF", "query.limit"),
        ("status=done", "query.status"),
        ("cursor=%00nonsense", "cursor"),
        ("colour=red", "query.colour"),
        ("limit=1&limit=2", "query.limit"),
    ],
)
async def test_a_wrong_query_parameter_is_422_and_named(client: Client, query: str, path: str) -> None:
    """Contract §2: 'limit 1-500, 50; a bad one is 422'; §1: 'Unknown keys … are an error that names them'."""
    answer = await client.rejected(422, "invalid", "GET", f"/api/v1/tasks?{query}")
    assert any(path in problem["path"] for problem in answer.body["errors"])


async def test_every_problem_of_a_query_is_listed(client: Client) -> None:
    """Contract §1: 'errors lists *every* problem found'."""
    answer = await client.rejected(422, "invalid", "GET", "/api/v1/tasks?limit=0&status=x&y=1&y=2")
    assert {problem["path"] for problem in answer.body["errors"]} == {"query.limit", "query.status", "query.y"}
    await client.rejected(422, "invalid", "POST", "/api/v1/task?dry_run=1", json={"items": [item()]})
    await client.rejected(422, "invalid", "GET", "/api/v1/plugins?x=1")


@pytest.mark.parametrize(
    "name",
    ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a%00b", "%FF%FE", "a%20b", "x" * 129, "%F0%9F%8D%AC", "a%0Ab", "..;", "%"],
)
async def test_an_invalid_task_id_is_404_everywhere(client: Client, name: str) -> None:
    """Contract §1: 'task_id is 1–128 of A-Za-z0-9._:-, not . or ..'; 'A client's mistake never yields a 5xx'."""
    for method, path in [
        ("GET", f"/api/v1/tasks/{name}"),
        ("DELETE", f"/api/v1/tasks/{name}"),
        ("GET", f"/api/v1/results/{name}"),
        ("GET", f"/api/v1/tasks/{name}/logs"),
        ("POST", f"/api/v1/deadletters/{name}/retry"),
    ]:
        await client.rejected(404, "not_found", method, path)


async def test_the_log_of_a_task_has_intake_start_and_end(client: Client) -> None:
    """Contract §2: '{"task_id","entries":[{"time","level","event","item_id","detail"}],"dropped"}'."""
    task_id = (await submit(client)).body["task_id"]
    await client.wait_ended(task_id)
    log = (await client.request("GET", f"/api/v1/tasks/{task_id}/logs")).body
    assert log["task_id"] == task_id
    assert log["dropped"] == 0
    assert len(log["entries"]) >= 3
    assert all(set(entry) == {"time", "level", "event", "item_id", "detail"} for entry in log["entries"])


async def test_a_full_queue_is_429_with_retry_after(agent_with: Opened) -> None:
    """Contract §1: '429 queue_full … with Retry-After'."""
    async with agent_with(CANDY_MAX_PENDING_TASKS="1", CANDY_MAX_RUNNING_TASKS="1") as client:
        statuses = []
        for _ in range(6):
            answer = await client.request("POST", "/api/v1/task", json={"items": [item(1, seconds=600)]})
            statuses.append(answer.status)
            if answer.status != 202:
                break
        assert answer.status == 429
        assert answer.body["code"] == "queue_full"
        assert int(answer.headers["Retry-After"]) >= 1
        for task in (await client.request("GET", "/api/v1/tasks")).body["tasks"]:
            await client.request("DELETE", f"/api/v1/tasks/{task['task_id']}")


async def test_dead_letters_are_listed_and_an_unknown_one_is_404(client: Client) -> None:
    """Contract §2: 'GET /api/v1/deadletters, POST /api/v1/deadletters/{id}/retry'."""
    assert (await client.request("GET", "/api/v1/deadletters")).body == {"deadletters": [], "next_cursor": None}
    await client.rejected(404, "not_found", "POST", "/api/v1/deadletters/none/retry")


async def test_an_item_with_a_command_needs_its_scope(agent_with: Opened, keys_file: Any) -> None:
    """Contract §1: 'tasks:command (…; without it such an *item* is not_allowed)'."""
    body = {"items": [{"id": 1, "type": "order"}]}
    async with agent_with(CANDY_API_KEYS_FILE=str(keys_file)) as client:
        for key, reason in (("key-of-writer", "not_allowed"), ("the-key-of-these-tests", "ok")):
            answer = await client.request("POST", "/api/v1/task?dry_run=true", json=body, key=key)
            assert answer.body["items"][0]["reason"] == reason
