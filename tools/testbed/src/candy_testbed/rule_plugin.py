"""For tests of plugins that keep rules in a cluster: the subject of their suite, and the CRDs of their classes."""

from __future__ import annotations

import asyncio
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs
import yaml

from candy_core import Absent, Json, Problem, Rule, RuleBackendSpec, RuleRef, StoredRule, params_reader
from candy_core.testing.context import plugin_context
from candy_core.testing.rule_backend import BadRule, Subject
from candy_testbed.kube.cluster import DEFINITIONS, KubeCluster

Groups: TypeAlias = tuple[Mapping[str, Json], ...]

TOKEN = "hunter2-of-the-datasource"


def bad_rules(*more: tuple[Mapping[str, Json], str]) -> Sequence[BadRule]:
    """Rules that no rule backend may take, and ``more``: a rule, and the field that is wrong."""
    alert: Mapping[str, Json] = {"alert": "Bad", "expr": "up"}
    bad: list[tuple[Mapping[str, Json], str]] = [
        ({**alert, "for": "5 minutes"}, "for"),
        ({**alert, "expr": " "}, "expr"),
        ({**alert, "expr": "sum(up"}, "expr"),
        ({**alert, "labels": {"a b": "c"}}, "labels['a b']"),
        ({**alert, "annotations": {"a": "{{ $value"}}, "annotations.a"),
        ({"record": "a:b", "expr": "up", "for": "5m"}, "for"),
        *more,
    ]
    good: Mapping[str, Json] = {"alert": "Good", "expr": "up"}
    found = [
        BadRule(groups=({"name": "g", "rules": [good, rule]},), path=f"$.groups[0].rules[1].{field}")
        for rule, field in bad
    ]
    twice: Mapping[str, Json] = {"name": "g", "rules": [alert, alert]}
    found.append(BadRule(groups=(twice,), path="$.groups[0].rules[1].alert"))
    same: Mapping[str, Json] = {"name": "g", "rules": [alert]}
    found.append(BadRule(groups=(same, same), path="$.groups[1].name"))
    return found


def subject(
    plugin: str,
    spec: RuleBackendSpec[Any],
    cluster: KubeCluster,
    namespace: str,
    folder: Path,
    datasource: str,
    *,
    api_version: str,
    kind: str,
    bad: Sequence[BadRule],
) -> Subject:
    """The ``RuleBackendSuite`` subject of a plugin that keeps rules as objects of ``kind`` in ``spec.groups``.

    ``folder`` is the test's own. ``datasource`` is a real server that knows expressions.
    """

    def write(name: str, namespace: str, groups: Groups, **more: Any) -> None:
        manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": {"groups": groups}}
        cluster.api.apply(manifest, namespace=namespace, **more)

    def object_of(ref: RuleRef) -> str:
        for item in cluster.api.request("GET", cluster.api.path(api_version, kind, namespace=ref.namespace))["items"]:
            if item["metadata"].get("annotations", {}).get("candy-agent.io/name", item["metadata"]["name"]) == ref.name:
                return str(item["metadata"]["name"])
        raise LookupError(f"no object of {ref}")

    async def foreign(ref: RuleRef, groups: Groups) -> None:
        await asyncio.to_thread(write, ref.name, ref.namespace, groups, field_manager="kubectl")

    async def change(ref: RuleRef, groups: Groups) -> None:
        def patch() -> None:
            path = cluster.api.path(api_version, kind, object_of(ref), namespace=ref.namespace)
            cluster.api.request(
                "PATCH",
                path,
                {"spec": {"groups": groups}},
                query={"fieldManager": "candy-agent"},
                content_type="application/merge-patch+json",
            )

        await asyncio.to_thread(patch)

    async def own(ref: RuleRef) -> None:
        def take() -> None:
            path = cluster.api.path(api_version, kind, object_of(ref), namespace=ref.namespace)
            groups = cluster.api.request("GET", path)["spec"]["groups"]
            for group in groups:
                for rule in group["rules"]:
                    rule["labels"] = {"taken": "yes"}
            write(object_of(ref), ref.namespace, groups, field_manager="somebody-else", force=True)

        await asyncio.to_thread(take)

    def settings(kubeconfig: Path) -> dict[str, Json]:
        return {
            "kubeconfig": str(kubeconfig),
            "labels": {"release": "suite"},
            "datasource": {"url": datasource, "bearer_token": TOKEN},
        }

    away = folder / "away"
    address = "https://127.0.0.1:1"
    away.write_text(cluster.kubeconfig.read_text().replace(json.dumps(cluster.url), json.dumps(address)))
    return Subject(
        plugin=plugin,
        spec=spec,
        settings=settings(cluster.kubeconfig),
        namespaces=(namespace, "default"),
        foreign=foreign,
        change=change,
        own=own,
        owner="somebody-else",
        bad=bad,
        unreachable=settings(away),
        secrets=[TOKEN, cluster.token],
    )


async def kept(
    plugin: str, spec: RuleBackendSpec[Any], cluster: KubeCluster, rule: Rule, **settings: Json
) -> tuple[StoredRule, Sequence[Problem]]:
    """The rule as it reads back after it was checked and written, and what was found wrong with it."""
    read: Any = params_reader.read({"kubeconfig": str(cluster.kubeconfig), **settings}, spec.settings)
    async with spec.open(plugin_context(plugin), read) as backend:
        problems = await backend.validate(rule)
        await backend.apply(rule, Absent(), dry_run=False)
        return await backend.get(rule.ref), problems


def group_schema(definition: str) -> Mapping[str, Any]:
    """The schema of one element of ``spec.groups`` in a CustomResourceDefinition, by its file's beginning."""
    [file] = DEFINITIONS.glob(f"{definition}*.yaml")
    [version] = yaml.safe_load(file.read_text())["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["groups"]["items"]
    assert isinstance(schema, Mapping)
    return schema


def schema_differences(kind: Any, schema: Mapping[str, Any], path: str = "group") -> Iterator[str]:
    """Every difference between a class that reads objects and their schema."""
    bare = _bare(kind)
    expected = schema.get("type") or "string"  # x-kubernetes-int-or-string has none
    if isinstance(bare, type) and attrs.has(bare):
        if expected != "object":
            yield f"{path}: a class for {expected}"
            return
        hints = get_type_hints(bare, include_extras=True)
        fields = {attribute.name.removesuffix("_"): attribute for attribute in attrs.fields(bare)}
        properties = schema.get("properties", {})
        yield from (f"{path}.{name}: not in our class" for name in properties.keys() - fields.keys())
        yield from (f"{path}.{name}: not in the definition" for name in fields.keys() - properties.keys())
        required = {name for name, attribute in fields.items() if attribute.default is attrs.NOTHING}
        if required != set(schema.get("required", ())):
            yield f"{path}: required are {schema.get('required', [])}, and by our class {sorted(required)}"
        for name in sorted(fields.keys() & properties.keys()):
            yield from schema_differences(hints[fields[name].name], properties[name], f"{path}.{name}")
    elif get_origin(bare) is tuple:
        if expected != "array":
            yield f"{path}: a tuple for {expected}"
        else:
            yield from schema_differences(get_args(bare)[0], schema["items"], f"{path}[]")
    elif isinstance(get_origin(bare), type) and issubclass(get_origin(bare), Mapping):
        if "additionalProperties" not in schema:
            yield f"{path}: a mapping for {expected}"
        else:
            yield from schema_differences(get_args(bare)[1], schema["additionalProperties"], f"{path}.*")
    elif {bool: "boolean", int: "integer"}.get(bare, "string") != expected:
        yield f"{path}: {bare.__name__} for {expected}"


def _bare(kind: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    return kind
