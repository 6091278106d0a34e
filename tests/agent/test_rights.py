"""Contract section 5 with exactly the rights of ``contrib/deploy/kubernetes``: enough, and none too much."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from attrs import evolve

from candy_server.server import CandyServer
from candy_testbed import ApiError, KubeCluster, eventually
from candy_testbed.kube.node_metrics import NodeMetrics
from candy_testbed.running_agent import RunningAgent, StartAgent

from .rights import Right, Rights

RULES = "/api/alert-rules"
RESOURCES = {
    "prometheus": ("monitoring.coreos.com", "prometheusrules"),
    "victoriaMetrics": ("operator.victoriametrics.com", "vmrules"),
}
NEEDED = {
    "read": {"get"},
    "list": {"list"},
    "dry run": {"patch", "create"},
    "create": {"patch", "create"},
    "update": {"get", "patch"},
    "delete": {"get", "delete"},
    "sync that changes nothing": {"list"},
    "sync that creates": {"list", "patch", "create"},
    "sync that updates": {"list", "get", "patch"},
    "sync that prunes": {"list", "get", "delete"},
    "drift": {"list"},
}
"""The calls of contract section 5, and the verbs without which each of them fails."""
CHECK_OF = {
    "nodes": "nodes",
    "pods": "pods",
    "deployments": "workloads",
    "daemonsets": "workloads",
    "statefulsets": "workloads",
    "services": "services",
    "endpointslices": "services",
    "persistentvolumeclaims": "volumes",
    "events": "events",
}
"""The one item that needs to list it."""
USAGE = Right("", "metrics.k8s.io", "nodes", "list")


def rule(name: str, content: str = "up == 0") -> dict[str, Any]:
    """A rule in a sync."""
    return {"name": name, "content": content}


class Calls:
    """The calls of contract section 5 about the rules of one type, in the namespace of the manifests."""

    def __init__(self, agent: RunningAgent, kind: str) -> None:
        self._agent = agent
        self._kind = kind

    async def sync(self, **body: Any) -> dict[str, Any]:
        """Rules made to hold, or the drift; always 200."""
        status, answer = await self._agent.post(
            f"{RULES}/sync", {"type": self._kind, "namespace": "monitoring", **body}
        )
        assert status == 200, answer
        return dict(answer)

    async def begin(self) -> None:
        """There are these rules, and no others of the agent's."""
        held = await self.sync(rules=[rule(name) for name in ("Kept", "Changed", "Gone")], prune=True)
        assert held["summary"]["failed"] == 0, held

    async def refusals(self) -> dict[str, str]:
        """Call everything, and give what was refused for want of a right, with the words; all else is done."""
        refused: dict[str, str] = {}
        where = f"type={self._kind}&namespace=monitoring"

        async def one(call: str, method: str, path: str, expected: int, body: object = None) -> None:
            async with self._agent.http.request(method, path, json=body) as answer:
                told = await answer.json(content_type=None)
            if (answer.status, told.get("code")) == (403, "forbidden"):
                refused[call] = told["detail"]
            else:
                assert answer.status == expected, told

        async def many(call: str, result: str, **body: Any) -> None:
            told = await self.sync(**body)
            assert told["results"] or result == "drifted"
            for each in told["results"]:
                if each["result"] == "failed":
                    refused[call] = each["errors"][0]["message"]
                else:
                    assert each["result"] == result, told

        written = {"type": self._kind, "namespace": "monitoring"}
        await one("read", "GET", f"{RULES}/Kept?{where}", 200)
        await one("list", "GET", f"{RULES}?{where}", 200)
        await one("dry run", "POST", f"{RULES}?dry_run=true", 200, {**rule("Dry"), **written})
        await one("create", "POST", RULES, 201, {**rule("New"), **written})
        await one("update", "PUT", RULES, 200, {**rule("Changed", "up == 1"), **written})
        await one("delete", "DELETE", f"{RULES}?name=Gone&{where}", 200)
        await many("sync that changes nothing", "unchanged", rules=[rule("Kept")])
        await many("sync that creates", "created", rules=[rule("Newer")])
        await many("sync that updates", "updated", rules=[rule("Changed", "up == 2")])
        await many("drift", "drifted")
        await many("sync that prunes", "deleted", rules=[], prune=True)
        return refused


@pytest.mark.parametrize("kind", RESOURCES)
async def test_every_call_works_with_the_rights_of_the_manifests(
    start_agent: StartAgent, rights: Rights, kube_cluster: KubeCluster, kind: str
) -> None:
    """Contract §5, the table of calls; `sync` with `prune`, `dry_run`, drift."""
    version = "monitoring.coreos.com/v1" if kind == "prometheus" else "operator.victoriametrics.com/v1beta1"
    name = "PrometheusRule" if kind == "prometheus" else "VMRule"
    where = {"type": kind, "namespace": "monitoring"}
    async with start_agent(**rights.env) as agent:
        status, made = await agent.post(RULES, {**rule("HighCPU"), **where, "config_map": "c", "key": "cpu.yaml"})
        assert (status, made["object_name"], made["managed"]) == (201, "highcpu", True), made
        status, other = await agent.post(RULES, {**rule("high cpu"), **where})
        assert (status, other["object_name"]) == (201, "high-cpu")
        status, problem = await agent.post(RULES, {**rule("HIGH cpu"), **where})
        assert (status, problem["code"]) == (409, "exists")
        assert await agent.get(f"{RULES}/HighCPU?type={kind}") == made
        everywhere = await agent.get(RULES)
        assert (len(everywhere["rules"]), everywhere["errors"]) == (2, [])
        filtered = await agent.get(f"{RULES}?type={kind}&namespace=monitoring&config_map=c&key=cpu.yaml")
        assert filtered["rules"] == [made]
        async with agent.http.put(f"{RULES}?dry_run=true", json={**made, "content": "up == 1"}) as answer:
            assert answer.status == 200
        assert await agent.get(f"{RULES}/HighCPU?type={kind}") == made
        async with agent.http.put(RULES, json={**made, "content": "up == 1"}) as answer:
            changed = await answer.json()
            assert (answer.status, "up == 1" in changed["content"]) == (200, True)
        async with agent.http.put(RULES, json=made) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "stale")
        path = kube_cluster.api.path(version, name, "highcpu", namespace="monitoring")
        held = kube_cluster.api.request("GET", path)
        held["spec"]["groups"][0]["rules"][0]["expr"] = "up == 7"
        kube_cluster.api.request("PUT", path, held)
        calls = Calls(agent, kind)
        drift = await calls.sync()
        assert [(each["name"], each["result"]) for each in drift["results"]] == [("HighCPU", "drifted")]
        for dry_run in (True, False):
            sync = await calls.sync(rules=[rule("high cpu"), rule("Third")], prune=True, dry_run=dry_run)
            assert {each["name"]: each["result"] for each in sync["results"]} == {
                "high cpu": "unchanged", "Third": "created", "HighCPU": "deleted",
            }  # fmt: skip
        for expected in (200, 404):
            assert (await agent.delete(f"{RULES}?name=Third&type={kind}"))[0] == expected
        assert [each["metadata"]["name"] for each in kube_cluster.api.items(version, name)] == ["high-cpu"]


async def test_each_right_over_rules_is_needed_and_costs_no_more_than_what_needs_it(
    start_agent: StartAgent, rights: Rights
) -> None:
    """Take every one away by itself: the calls that need it name it, all others, and the other type's, go on."""
    of_rules = {right for right in rights.given() if (right.group, right.resource) in RESOURCES.values()}
    verbs = set.union(*NEEDED.values())
    assert sorted((right.resource, right.verb) for right in of_rules) == sorted(
        (resource, verb) for _, resource in RESOURCES.values() for verb in verbs
    )
    async with start_agent(**rights.env) as agent:
        calls = {kind: Calls(agent, kind) for kind in RESOURCES}
        for right in sorted(of_rules):
            await asyncio.gather(*(each.begin() for each in calls.values()))
            async with rights.without(right):
                told = dict(
                    zip(calls, await asyncio.gather(*(each.refusals() for each in calls.values())), strict=True)
                )
                page = await agent.get(RULES)
            for kind, refused in told.items():
                mine = RESOURCES[kind] == (right.group, right.resource)
                assert set(refused) == {call for call, needed in NEEDED.items() if mine and right.verb in needed}, right
                for words in refused.values():
                    assert f'cannot {right.verb} resource "{right.resource}" in API group "{right.group}"' in words
                    assert 'in the namespace "monitoring"' in words
            lost = [(error["type"], error["code"]) for error in page["errors"]]
            assert lost == [(kind, "forbidden") for kind in calls if right.verb == "list" and told[kind]], right


async def test_each_right_to_look_around_is_needed_and_costs_no_more_than_what_needs_it(
    start_agent: StartAgent, rights: Rights, kube_cluster: KubeCluster
) -> None:
    """Contract §3, `kubernetes`: the checks; take away every right that is none over rules, one after the other."""
    node = kube_cluster.create_node()
    kinds = ("nodes", "pods", "workloads", "services", "volumes", "events")
    items = [{"id": kind, "type": "kubernetes", "params": {"check": kind}} for kind in kinds]
    of_items = {
        right for right in rights.given() if (right.group, right.resource) not in RESOURCES.values()
    } - {USAGE}  # fmt: skip
    kube_cluster.api.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]},
        },
        namespace="monitoring",
    )
    try:
        async with start_agent(**rights.env) as agent:
            for right in sorted(of_items):
                async with rights.without(right):
                    results = (await agent.run({"items": items, "locale": "en"}))["results"]
                failed = [each for each in results if each["status"] == "failed"]
                assert [(each["item_id"], each["reason"]) for each in failed] == [
                    (CHECK_OF[right.resource], "not_allowed")
                ], right
                (words,) = [f"{each['message']} {each['details']}" for each in failed]
                assert f'cannot {right.verb} resource "{right.resource}" in API group "{right.group}"' in words
    finally:
        kube_cluster.api.delete("v1", "Node", node)


async def test_the_right_to_the_usage_of_nodes_is_needed_by_the_heartbeat_alone(
    start_agent: StartAgent, rights: Rights, kube_cluster: KubeCluster, candy_server: CandyServer
) -> None:
    """Contract §4: what cannot be had is left out."""
    node = kube_cluster.create_node()
    server = {"CANDY_SERVER_URL": candy_server.url, "CANDY_SERVER_API_KEY": candy_server.key}
    try:
        with NodeMetrics(kube_cluster) as metrics:
            metrics.set_usage(node, cpu="1", memory="6Gi")
            async with rights.without(USAGE), start_agent(**rights.env, **server) as agent:

                async def told_of_nodes() -> Any:
                    told = (await agent.post("/api/v1/heartbeat/agent-001", {}))[1]["cluster_info"]
                    return told if "nodes" in told else None

                told = await eventually(told_of_nodes)
                log = agent.log()
        assert told == {"name": "default-cluster", "nodes": 1, "kubernetes_version": "1.20.2"}
        (missing,) = [line for line in log if line["event"] == "cluster_figure_missing"]
        assert 'cannot list resource "nodes" in API group "metrics.k8s.io"' in missing["error"]
    finally:
        kube_cluster.api.delete("v1", "Node", node)


def test_no_right_is_given_that_the_manifests_do_not_name(
    rights: Rights, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """All that the account may do, as the API server lists it: the manifests', and what every account may."""
    nobody = Rights(kube_cluster, (), kube_cluster.service_account_token(kube_namespace, "nobody"), {})
    for namespace in ("monitoring", "candy-agent", "kube-system", "default"):
        everybodys = nobody.all_in(namespace)
        assert {right.group for right in everybodys} == {"authorization.k8s.io"}
        given = {evolve(right, namespace=namespace) for right in rights.given() if right.namespace in ("", namespace)}
        assert rights.all_in(namespace) - everybodys == given


REFUSED: dict[str, tuple[str, str, object]] = {
    "secrets": ("GET", "/api/v1/namespaces/candy-agent/secrets", None),
    "secrets of all": ("GET", "/api/v1/secrets", None),
    "a command in a pod": ("POST", "/api/v1/namespaces/monitoring/pods/a/exec?command=id&stdout=true", None),
    "logs of a pod": ("GET", "/api/v1/namespaces/monitoring/pods/a/log", None),
    "a node deleted": ("DELETE", "/api/v1/nodes/a", None),
    "a node changed": ("PATCH", "/api/v1/nodes/a", {"spec": {"unschedulable": True}}),
    "a pod made": ("POST", "/api/v1/namespaces/monitoring/pods", {"metadata": {"name": "a"}}),
    "more rights": (
        "PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/candy-agent", {"rules": []},
    ),
    "another account": ("POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", {}),
    "rules replaced": ("PUT", "/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheusrules/a", {}),
    "all rules deleted": ("DELETE", "/apis/monitoring.coreos.com/v1/namespaces/monitoring/prometheusrules", None),
    "rules elsewhere": ("DELETE", "/apis/operator.victoriametrics.com/v1beta1/namespaces/default/vmrules/a", None),
}  # fmt: skip


def test_what_the_manifests_do_not_give_is_refused(rights: Rights, kube_cluster: KubeCluster) -> None:
    """Whoever takes the agent's token has no more than this, either."""
    agent = kube_cluster.api_as(rights.token)
    for what, (method, path, body) in REFUSED.items():
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        with pytest.raises(ApiError, match="cannot") as refused:
            agent.request(method, path, body, content_type=kind)
        assert refused.value.status == 403, what


async def test_in_another_namespace_rules_are_read_and_every_write_is_refused(
    start_agent: StartAgent, rights: Rights, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """`contrib/deploy/kubernetes`: rules are written in `monitoring`, "nowhere else"; a sync costs only the others."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "theirs", "labels": {"app.kubernetes.io/managed-by": "candy-agent"}},
        "spec": {"groups": [{"name": "g", "rules": [{"alert": "Theirs", "expr": "up == 0"}]}]},
    }
    kube_cluster.api.apply(manifest, namespace=kube_namespace)
    there = {"name": "theirs", "type": "prometheus", "namespace": kube_namespace}
    async with start_agent(**rights.env) as agent:
        made = await agent.get(f"{RULES}/theirs?type=prometheus&namespace={kube_namespace}")
        assert made["managed"]
        refusals = [await agent.post(RULES, {**there, "name": "Ours", "content": "up"}), await agent.delete(
            f"{RULES}?name=theirs&type=prometheus&namespace={kube_namespace}"
        )]  # fmt: skip
        async with agent.http.put(RULES, json=made) as answer:
            refusals.append((answer.status, await answer.json()))
        for verb, (status, problem) in zip(("patch", "delete", "patch"), refusals, strict=True):
            assert (status, problem["code"]) == (403, "forbidden")
            assert f'cannot {verb} resource "prometheusrules"' in problem["detail"]
            assert f'in the namespace "{kube_namespace}"' in problem["detail"]
        rules = [rule("Ours"), {**rule("Theirs"), "namespace": kube_namespace}]
        status, sync = await agent.post(f"{RULES}/sync", {"type": "prometheus", "rules": rules})
        assert [each["result"] for each in sync["results"]] == ["created", "failed"]
        assert f'in the namespace "{kube_namespace}"' in json.dumps(sync["results"][1]["errors"]).replace("\\", "")
