"""The OpenAPI document, and whether the agent conforms to it (contract section 6)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import schemathesis
from attrs import frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from candy_core.codec import params_reader
from candy_core.web.schemas import SchemaBuilder
from tests.web.conftest import KEY, Client, Opened, item

TASK = "an-existing-task"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


async def document_of(client: Client) -> Any:
    answer = await client.request("GET", "/openapi.json")
    assert answer.status == 200
    return answer.body


def references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_the_document_matches_the_routes(client: Client) -> None:
    """One table of operations is the source of both."""
    document = await document_of(client)
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    for method, path in described:
        filled = (
            path.replace("{task_id}", "none")
            .replace("{name}", "none")
            .replace("{id}", "none")
            .replace("{agent_id}", "web-1")
        )
        assert (await client.request(method, filled)).status not in (405, 500)
    components = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in components, reference


async def test_every_error_is_documented_as_a_problem(client: Client) -> None:
    """Contract §1: 'Errors are RFC 9457'; every operation documents its errors."""
    document = await document_of(client)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            if operation.get("security") != []:
                assert {"401", "403", "429"} <= set(responses), (method, path)
            if "requestBody" in operation:
                assert {"400", "413", "415", "422"} <= set(responses), (method, path)
            for status, response in responses.items():
                if status.startswith("4"):
                    schema = response["content"]["application/problem+json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ProblemDocument"}


async def test_the_document_has_the_params_of_installed_executors_and_allows_others(client: Client) -> None:
    """The attrs classes that the codec reads are the source of these schemas too."""
    schemas = (await document_of(client))["components"]["schemas"]
    nap = schemas["nap.NapParams"]
    assert nap["properties"]["seconds"]["anyOf"] == [{"type": "number"}, {"type": "string"}]
    assert nap["additionalProperties"] is False
    params = schemas["ItemRequest"]["properties"]["params"]
    assert {"$ref": "#/components/schemas/nap.NapParams"} in params["anyOf"]
    assert params["anyOf"][-1]["type"] == "object"
    assert "additionalProperties" not in params["anyOf"][-1]
    assert schemas["ItemRequest"]["additionalProperties"] is False
    assert schemas["TaskState"]["properties"]["start_time"]["anyOf"][0] == {"type": "string", "format": "date-time"}


async def test_the_document_contains_no_docstring_markup(client: Client) -> None:
    answer = await client.request("GET", "/openapi.json")
    assert "``" not in answer.text
    assert ":class:" not in answer.text


async def test_the_running_agent_conforms_to_its_document(agent_with: Opened, rules_path: Path) -> None:
    """Contract §1: 'A client's mistake never yields a 5xx'. Every operation is sent what its document allows."""
    async with agent_with(CANDY_FOLDER_PATH=str(rules_path)) as client:
        await check_conformance(client)


async def check_conformance(client: Client) -> None:
    items = [item(1), {"id": "é", "type": "nothing"}, item(3, seconds=0.5)]
    assert (await client.request("POST", "/api/v1/task", json={"task_id": TASK, "items": items})).status == 202
    failures = await asyncio.to_thread(send_everything, client.agent.url)
    assert not failures, "\n\n".join(failures)
    statuses = re.findall(
        r'candy_http_requests_total{.*status="(\d+)"}', (await client.request("GET", "/metrics")).text
    )
    assert {"200", "202", "404", "409", "422"} <= set(statuses)
    assert not {"401", "429", "500"} & set(statuses)
    assert (await client.request("GET", "/health", key=None)).status == 200


def send_everything(url: str) -> list[str]:
    """Let schemathesis test each operation. Returns the failures, with how to reproduce them."""
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers={"X-API-Key": KEY}, config=config)
    failures = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        # A heartbeat without Candy-Server is a documented 503.
        checks = CHECKS[1:] if "/heartbeat/" in operation.path else CHECKS

        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), known=st.booleans())
        def send(case: Any, known: bool) -> None:
            if known and "task_id" in case.path_parameters:
                case.path_parameters["task_id"] = TASK
            if known and "/alert-rules" in operation.path and isinstance(case.body, dict):  # noqa: B023  # the same
                case.body["type"] = "Folder"
            case.call_and_validate(headers={"X-API-Key": KEY}, checks=checks)  # noqa: B023  # called at once, below

        try:
            send()
        except Exception as error:  # noqa: BLE001  # a group of the failures of each check
            failures.append(f"{operation.label}: {error!r}\n{error}")
    return failures


def test_a_schema_matches_what_the_codec_reads() -> None:
    @frozen(kw_only=True)
    class Params:
        for_: str
        names: frozenset[str] = frozenset()
        pair: tuple[int, str] = (0, "")
        labels: Mapping[str, int] = {}

    builder = SchemaBuilder()
    builder.schema(Params)
    schema = builder.components["Params"]
    value: dict[str, Any] = {"for": "5m", "names": ["a"], "pair": [1, "x"], "labels": {"a": 1}}
    assert params_reader.read(value, Params) == Params(for_="5m", names=frozenset("a"), pair=(1, "x"), labels={"a": 1})
    assert set(schema["properties"]) == set(value)
    assert schema["required"] == ["for"]
    assert schema["properties"]["names"]["items"] == {"type": "string"}
    assert schema["properties"]["pair"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert schema["properties"]["labels"]["additionalProperties"] == {"type": "integer"}
