"""Alert rules over REST (contract sections 1 and 5)."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.web.conftest import Client, Opened

RULES = "/api/alert-rules"
EXAMPLE = {
    "name": "HighCPUUsage",
    "type": "Folder",
    "content": '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80',
    "namespace": "monitoring",
    "config_map": "prometheus-rules",
    "key": "cpu-alerts.yaml",
}
"""Contract section 5, "The rule": the example, with another type."""
KEYS = {
    "name", "type", "content", "namespace", "config_map", "key", "for", "labels", "annotations", "resource_version",
    "managed", "object_name", "created_at", "updated_at",
}  # fmt: skip


def files(path: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {file.name: file.read_bytes() for file in path.rglob("*.yaml")}


@pytest.fixture
async def rules(agent_with: Opened, rules_path: Path) -> AsyncIterator[Client]:
    """An agent with these backends."""
    async with agent_with(CANDY_FOLDER_PATH=str(rules_path)) as opened:
        yield opened


async def test_the_request_of_the_contract_creates_a_rule(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'POST /api/alert-rules | 201 the rule'; its keys; 'content comes back as the rule file in YAML'."""
    answer = await rules.request("POST", RULES, json=EXAMPLE)
    assert answer.status == 201
    assert answer.headers["Location"] == f"{RULES}/HighCPUUsage?type=Folder&namespace=monitoring"
    assert set(answer.body) == KEYS
    assert {key: answer.body[key] for key in EXAMPLE if key != "content"} == {
        key: value for key, value in EXAMPLE.items() if key != "content"
    }
    assert yaml.safe_load(answer.body["content"]) == {
        "groups": [
            {
                "name": "cpu-alerts",
                "rules": [
                    {
                        "alert": "HighCPUUsage",
                        "expr": EXAMPLE["content"],
                        "for": "5m",
                        "labels": {"severity": "warning"},
                    }
                ],
            }
        ]
    }
    assert (answer.body["for"], answer.body["labels"], answer.body["managed"]) == ("5m", {"severity": "warning"}, True)
    assert answer.body["created_at"].endswith("Z")
    assert set(files(rules_path)) == {"highcpuusage.yaml"}
    assert (await rules.request("GET", answer.headers["Location"])).body == answer.body
    await rules.rejected(409, "exists", "POST", RULES, json=EXAMPLE)


async def test_a_rule_that_was_read_can_be_changed_and_replaced(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'PUT … 200; 404; 409 stale if resource_version is given and old'."""
    made = (await rules.request("POST", RULES, json=EXAMPLE)).body
    before = files(rules_path)
    same = await rules.request("PUT", RULES, json=made)
    assert (same.status, same.body) == (200, made)
    assert files(rules_path) == before
    changed = await rules.request("PUT", RULES, json={**made, "content": made["content"].replace("> 80", "> 90")})
    assert changed.status == 200
    assert "> 90" in changed.body["content"]
    await rules.rejected(409, "stale", "PUT", RULES, json=made)
    await rules.rejected(404, "not_found", "PUT", RULES, json={**EXAMPLE, "name": "Other"})
    for missing in ("type", "name", "content"):
        body = {key: value for key, value in EXAMPLE.items() if key != missing}
        answer = await rules.rejected(422, "invalid", "PUT", RULES, json=body)
        assert {"path": f"$.{missing}", "message": "is required"} in answer.body["errors"]


async def test_a_rule_is_deleted_by_body_or_by_query(rules: Client) -> None:
    """Contract §5: 'DELETE …, {name,type,namespace} as JSON body or query | 200 the rule deleted; 404'."""
    name = {"name": "HighCPUUsage", "type": "dir", "namespace": "monitoring"}
    ways: list[tuple[str, dict[str, Any]]] = [
        ("", {"json": name}),
        ("?name=HighCPUUsage&type=dir&namespace=monitoring", {}),
        ("?name=HighCPUUsage", {}),
        ("?name=HighCPUUsage&type=dir", {"json": {"namespace": "monitoring", "name": "HighCPUUsage"}}),
    ]
    for query, body in ways:
        made = (await rules.request("POST", RULES, json=EXAMPLE)).body
        dry = await rules.request("DELETE", f"{RULES}{query or '?'}&dry_run=true".replace("?&", "?"), **body)
        assert dry.status == 200
        gone = await rules.request("DELETE", RULES + query, **body)
        assert gone.status == 200
        assert gone.body["content"] == made["content"]
        await rules.rejected(404, "not_found", "DELETE", RULES + query, **body)
    answer = await rules.rejected(422, "invalid", "DELETE", f"{RULES}?name=a&type=dir", json={"name": "b"})
    assert [problem["path"] for problem in answer.body["errors"]] == ["query.name"]
    await rules.rejected(422, "invalid", "DELETE", RULES)
    await rules.rejected(422, "invalid", "DELETE", f"{RULES}?name=a&colour=red")
    await rules.rejected(415, "unsupported_media_type", "DELETE", RULES, data=b"{}", headers={"Content-Type": "text/x"})


@pytest.mark.parametrize("name", ["CPU使用率过高", "a/b", "a b?&=#%", "..", "sync", "x" * 253])
async def test_a_rule_of_any_name_is_found(rules: Client, name: str) -> None:
    made = await rules.request("POST", RULES, json={**EXAMPLE, "name": name})
    assert made.status == 201, made
    for where in (f"{RULES}/{quote(name, safe='')}", made.headers["Location"]):
        if name != "..":  # a client normalizes such a path
            assert (await rules.request("GET", where)).body["name"] == name
    assert (await rules.request("DELETE", RULES, json={"name": name})).status == 200


async def test_an_invalid_rule_name_is_404(rules: Client) -> None:
    for name in ("%00", "x" * 254, "a%0Ab"):
        await rules.rejected(404, "not_found", "GET", f"{RULES}/{name}")


async def test_a_name_in_several_backends_needs_the_type(rules: Client) -> None:
    """Contract §5: 'GET … 200; 404; 409 where several backends hold it and no `type` is given'."""
    for kind in ("folder", "second"):
        assert (await rules.request("POST", RULES, json={**EXAMPLE, "type": kind})).status == 201
    answer = await rules.rejected(409, "conflict", "GET", f"{RULES}/HighCPUUsage")
    assert "Folder, second" in answer.body["detail"]
    await rules.rejected(409, "conflict", "DELETE", f"{RULES}?name=HighCPUUsage")
    assert (await rules.request("GET", f"{RULES}/HighCPUUsage?type=second")).body["type"] == "second"


async def test_rules_are_listed_with_paging_and_filters(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'GET /api/alert-rules?type=&namespace=&config_map=&key=&limit=&cursor='."""
    for number in range(5):
        body = {**EXAMPLE, "name": f"r{number}", "key": "odd.yaml" if number % 2 else "even.yaml"}
        assert (await rules.request("POST", RULES, json=body)).status == 201
    first = (await rules.request("GET", f"{RULES}?limit=2")).body
    assert set(first) == {"rules", "errors", "next_cursor"}
    second = (await rules.request("GET", f"{RULES}?limit=3&cursor={quote(first['next_cursor'])}")).body
    assert [each["name"] for each in first["rules"] + second["rules"]] == [f"r{number}" for number in range(5)]
    odd = (await rules.request("GET", f"{RULES}?config_map=prometheus-rules&key=odd.yaml&type=dir")).body
    assert [(each["name"], each["type"]) for each in odd["rules"]] == [("r1", "dir"), ("r3", "dir")]
    assert (await rules.request("GET", f"{RULES}?namespace=other")).body["rules"] == []
    for query, wrong in (
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("cursor=x", "query.cursor"),
        ("type=nagios", "query.type"),
        ("namespace=NO", "query.namespace"),
        ("colour=red", "query.colour"),
    ):
        answer = await rules.rejected(422, "invalid", "GET", f"{RULES}?{query}")
        assert [problem["path"] for problem in answer.body["errors"]] == [wrong]


async def test_dry_run_is_set_in_query_or_body(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'POST, PUT, DELETE and sync take `dry_run` (query or body)'."""
    for query, body in (("?dry_run=true", {}), ("", {"dry_run": True}), ("?dry_run=true", {"dry_run": True})):
        answer = await rules.request("POST", RULES + query, json={**EXAMPLE, **body})
        assert answer.status == 200, "nothing was created"
        assert "Location" not in answer.headers
        assert answer.body["object_name"] == "highcpuusage"
        synced = await rules.request("POST", f"{RULES}/sync{query}", json={"rules": [EXAMPLE], **body})
        assert synced.body["results"] == [{"name": "HighCPUUsage", "result": "created", "errors": []}]
    assert files(rules_path) == {}
    for query, body in (("?dry_run=true", {"dry_run": False}), ("?dry_run=false", {"dry_run": True})):
        answer = await rules.rejected(422, "invalid", "POST", RULES + query, json={**EXAMPLE, **body})
        assert [problem["path"] for problem in answer.body["errors"]] == ["query.dry_run"]
    await rules.rejected(422, "invalid", "POST", f"{RULES}?dry_run=yes", json=EXAMPLE)
    assert (await rules.request("POST", f"{RULES}?dry_run=false", json=EXAMPLE)).status == 201


async def test_sync_returns_a_result_for_each_rule_and_a_summary(rules: Client) -> None:
    """Contract §5: 'POST /api/alert-rules/sync | 200 {"results":[{"name","result","errors"}],"summary":{…}}'."""
    body = {"type": "Folder", "rules": [{"name": "A", "content": "up == 0"}, {"name": "B", "content": "sum(up"}]}
    answer = await rules.request("POST", f"{RULES}/sync", json=body)
    assert answer.status == 200
    assert answer.body == {
        "results": [
            {"name": "A", "result": "created", "errors": []},
            {
                "name": "B",
                "result": "failed",
                "errors": [{"path": "$.groups[0].rules[0].expr", "message": "a parenthesis is not closed"}],
            },
        ],
        "summary": {"created": 1, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 1, "drifted": 0},
    }
    drift = await rules.request("POST", f"{RULES}/sync", json={"type": "Folder"})
    assert (drift.body["results"], drift.body["summary"]["unchanged"]) == ([], 1)


async def test_problems_have_paths_and_list_the_installed_types(rules: Client) -> None:
    """Contract §5: 'An unknown `type` is 422 and lists the installed ones'; §1: '`errors` lists *every* problem'."""
    body = {**EXAMPLE, "type": "nagios", "colour": "red", "content": "groups:\n- name: a\n- 5\n"}
    answer = await rules.rejected(422, "invalid", "POST", RULES, json=body)
    found = {problem["path"]: problem["message"] for problem in answer.body["errors"]}
    assert set(found) == {"$.type", "$.colour", "$.groups[1]"}
    assert "Folder, second" in found["$.type"]
    await rules.rejected(400, "bad_json", "POST", RULES, data=b"{", headers={"Content-Type": "application/json"})
    await rules.rejected(422, "invalid", "POST", RULES, json=[])
    await rules.rejected(405, "method_not_allowed", "PATCH", RULES)


async def test_an_unmanaged_rule_cannot_be_changed(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'What the agent does not manage it reads, but neither changes nor deletes: 403 `not_managed`'."""
    (rules_path / "monitoring").mkdir()
    (rules_path / "monitoring" / "theirs.yaml").write_text("groups: []\n")
    found = await rules.request("GET", f"{RULES}/theirs")
    assert (found.body["managed"], found.body["content"]) == (False, "groups: []\n")
    await rules.rejected(403, "not_managed", "PUT", RULES, json={**EXAMPLE, "name": "theirs"})
    await rules.rejected(403, "not_managed", "DELETE", f"{RULES}?name=theirs")


async def test_an_unavailable_backend_is_503_with_retry_after(rules: Client, rules_path: Path) -> None:
    """Contract §5: 'a backend without its CRD or cluster is 503 `backend_unavailable`'; lists go on without it."""
    shutil.rmtree(rules_path)
    for method, where, more in (
        ("POST", RULES, {"json": EXAMPLE}),
        ("PUT", RULES, {"json": EXAMPLE}),
        ("DELETE", f"{RULES}?name=a&type=dir", {}),
        ("GET", f"{RULES}/HighCPUUsage", {}),
        ("GET", f"{RULES}?type=dir", {}),
        ("POST", f"{RULES}/sync", {"json": {"rules": [EXAMPLE]}}),
    ):
        answer = await rules.rejected(503, "backend_unavailable", method, where, **more)
        assert int(answer.headers["Retry-After"]) >= 1
    page = await rules.request("GET", RULES)
    assert page.status == 200
    assert [(error["type"], error["code"]) for error in page.body["errors"]] == [("Folder", "backend_unavailable")]


async def test_without_backends_a_write_is_422_and_a_list_is_empty(agent_with: Opened) -> None:
    async with agent_with(CANDY_PLUGINS_BLOCKED="prometheusrule,vmrule,kubernetes,folder") as client:
        answer = await client.rejected(422, "invalid", "POST", RULES, json=EXAMPLE)
        assert answer.body["errors"] == [
            {"path": "$.type", "message": "expected one of the installed types: there are none"}
        ]
        assert (await client.request("GET", RULES)).body == {"rules": [], "errors": [], "next_cursor": None}
        await client.rejected(404, "not_found", "GET", f"{RULES}/a")


async def test_scopes_are_rules_read_and_rules_write(agent_with: Opened, rules_path: Path, tmp_path: Path) -> None:
    """Contract §1: scopes `rules:read`, `rules:write`."""
    keys = tmp_path / "keys.yaml"
    keys.write_text(
        "- {name: reader, key: key-of-reader, scopes: ['rules:read']}\n"
        "- {name: writer, key: key-of-writer, scopes: ['rules:write']}\n"
        "- {name: other, key: key-of-other, scopes: ['tasks:read', 'tasks:write', 'agent:config']}\n"
    )
    calls: tuple[tuple[str, str, str, Any], ...] = (
        ("POST", RULES, "writer", EXAMPLE),
        ("PUT", RULES, "writer", EXAMPLE),
        ("POST", f"{RULES}/sync", "writer", {"rules": [EXAMPLE]}),
        ("GET", RULES, "reader", None),
        ("GET", f"{RULES}/HighCPUUsage", "reader", None),
        ("DELETE", RULES, "writer", {"name": "HighCPUUsage"}),
    )
    async with agent_with(CANDY_FOLDER_PATH=str(rules_path), CANDY_API_KEYS_FILE=str(keys)) as client:
        for method, where, who, body in calls:
            for name in ("reader", "writer", "other"):
                if name != who:
                    await client.rejected(403, "forbidden", method, where, json=body, key=f"key-of-{name}")
            await client.rejected(401, "unauthenticated", method, where, json=body, key=None)
            assert (await client.request(method, where, json=body, key=f"key-of-{who}")).status in (200, 201)


async def test_the_document_describes_the_groups_of_the_installed_backends(rules: Client) -> None:
    """Contract §6: the document includes what the installed plugins read. Writes are counted in /metrics."""
    document = (await rules.request("GET", "/openapi.json")).body
    schemas = document["components"]["schemas"]
    assert schemas["Folder.FolderRule"]["properties"]["for"]
    text, file = schemas["RuleRequest"]["properties"]["content"]["anyOf"]
    assert text["type"] == "string"
    assert {"$ref": "#/components/schemas/Folder.FolderGroup"} in file["properties"]["groups"]["items"]["anyOf"]
    assert "Folder, second" in schemas["RuleRequest"]["properties"]["type"]["description"]
    assert schemas["RuleRequest"]["additionalProperties"] is False
    assert "type" not in schemas["RuleDraft"]["required"]
    operations = {(method, path): one for path, each in document["paths"].items() for method, one in each.items()}
    delete = operations["delete", RULES]
    assert delete["requestBody"]["required"] is False
    assert {parameter["name"] for parameter in delete["parameters"]} >= {"name", "type", "namespace", "dry_run"}
    assert {"403", "404", "409", "503"} <= set(delete["responses"])
    await rules.request("POST", RULES, json=EXAMPLE)
    metrics = (await rules.request("GET", "/metrics")).text
    assert 'candy_rules_writes_total{result="created",type="folder"} 1.0' in metrics
    assert "candy_rules_sync_duration_seconds_count" in metrics


async def test_a_large_rule_file_is_accepted_and_a_larger_one_is_rejected(rules: Client) -> None:
    one = {"alert": "A", "expr": "up == 0", "annotations": {"summary": "x" * 200}}
    text = json.dumps({"groups": [{"name": "a", "rules": [one] * 1500}]})
    assert (await rules.request("POST", RULES, json={**EXAMPLE, "content": text})).status == 201
    answer = await rules.rejected(422, "invalid", "POST", RULES, json={**EXAMPLE, "name": "B", "content": text * 2})
    assert [problem["path"] for problem in answer.body["errors"]] == ["$.content"]
