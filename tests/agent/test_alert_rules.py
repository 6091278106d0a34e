"""Alert rules in a real API server, through the whole agent (contract section 5)."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from candy_testbed import KubeCluster, eventually
from candy_testbed.running_agent import KEY, RunningAgent, StartAgent

RULES = "/api/alert-rules"
VERSION, KIND = "monitoring.coreos.com/v1", "PrometheusRule"
EXAMPLE: dict[str, Any] = {
    "name": "HighCPUUsage",
    "type": "prometheus",
    "content": '100 - (avg by(instance) (irate(node_cpu_seconds_total{mode="idle"}[5m])) * 100) > 80',
    "namespace": "monitoring",
    "config_map": "prometheus-rules",
    "key": "cpu-alerts.yaml",
}
"""Contract section 5, "The rule": the example, as it is there."""


def entries(count: int, expression: str = "up == 0") -> list[dict[str, Any]]:
    """So many rules."""
    return [{"name": f"Rule{number}", "content": expression} for number in range(count)]


async def sync(agent: RunningAgent, namespace: str, rules: list[dict[str, Any]], **more: Any) -> Any:
    """The answer to a sync."""
    body = {"type": "prometheus", "namespace": namespace, "rules": rules, **more}
    status, answer = await agent.post(f"{RULES}/sync", body)
    assert status == 200, answer
    return answer


@pytest.mark.parametrize("kind", ["prometheus", "victoriaMetrics", "vm"])
async def test_the_documents_request_is_kept_in_the_cluster(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str, kind: str
) -> None:
    """Contract §5: 'POST … 201 the rule; 409 `exists`'; what is read and sent back changes nothing."""
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        body = {**EXAMPLE, "namespace": kube_namespace, "type": kind}
        status, made = await agent.post(RULES, body)
        assert (status, made["object_name"], made["type"]) == (201, "highcpuusage", kind), made
        assert made["managed"]
        assert (made["config_map"], made["key"]) == ("prometheus-rules", "cpu-alerts.yaml")
        status, problem = await agent.post(RULES, body)
        assert (status, problem["code"]) == (409, "exists")
        async with agent.http.put(RULES, json=made) as answer:
            assert (answer.status, await answer.json()) == (200, made)
        read = await agent.get(f"{RULES}/HighCPUUsage?namespace={kube_namespace}&type={kind}")
        assert read == made
        for expected in (200, 404):
            where = f"{RULES}?name=HighCPUUsage&namespace={kube_namespace}&type={kind}"
            assert (await agent.delete(where))[0] == expected


async def test_of_many_that_make_it_at_once_one_does(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """Lessons: 'six racing creates gave one 201 and five 200s' with server-side apply alone."""
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        for name in ("A", "B", "C"):
            body = {**EXAMPLE, "namespace": kube_namespace, "name": name}
            answers = await asyncio.gather(*(agent.post(RULES, body) for _ in range(6)))
            assert Counter(status for status, _ in answers) == {201: 1, 409: 5}


async def test_of_a_thousand_rules_the_three_bad_ones_are_named_and_the_others_hold(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """Contract §5: 'One bad rule never costs the others'; 'each error names group, rule and field'."""
    alert = {"alert": "Fine", "expr": "up == 0"}
    file = [{"name": "first", "rules": [alert]}, {"name": "second", "rules": [alert, alert]}]
    bad: dict[str, tuple[str, dict[str, Any]]] = {
        "Rule7": ("$.groups[1].rules[1].expr", {"expr": "rate(up[5m]"}),
        "Rule400": ("$.groups[1].rules[1].for", {"for": "soon"}),
        "Rule999": ("$.groups[1].rules[1].labels.not-a-name", {"labels": {"not-a-name": "x"}}),
    }
    rules = entries(1000)
    for rule in rules:
        if rule["name"] in bad:
            last = {**alert, "alert": "Bad", **bad[rule["name"]][1]}
            rule["content"] = {"groups": [file[0], {**file[1], "rules": [alert, last]}]}
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        answer = await sync(agent, kube_namespace, rules)
        failed = {each["name"]: each["errors"] for each in answer["results"] if each["result"] == "failed"}
        assert {name: [error["path"] for error in errors] for name, errors in failed.items()} == {
            name: [path] for name, (path, _) in bad.items()
        }, failed
        assert Counter(each["result"] for each in answer["results"]) == {"created": 997, "failed": 3}
        held = kube_cluster.api.items(VERSION, KIND, namespace=kube_namespace)
        assert {each["metadata"]["name"] for each in held} == {
            rule["name"].lower() for rule in rules if rule["name"] not in bad
        }
        again = await sync(agent, kube_namespace, rules, prune=True)
        assert (again["summary"]["unchanged"], again["summary"]["failed"]) == (997, 3)


async def test_a_sync_ends_right_though_the_api_server_is_killed_in_the_middle(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """Killed, and started again: every rule holds, none is told to have failed, none twice."""
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        await sync(agent, kube_namespace, [*entries(5), {"name": "Gone", "content": "up"}])

        def held() -> int:
            return len(kube_cluster.api.items(VERSION, KIND, namespace=kube_namespace))

        running = asyncio.create_task(sync(agent, kube_namespace, entries(300, "up == 1"), prune=True))
        await eventually(lambda: held() >= 40)
        kube_cluster.kill_api_server()
        assert not running.done()
        kube_cluster.start_api_server()
        answer = await running
        assert answer["summary"] == {
            "created": 295, "updated": 5, "unchanged": 0, "deleted": 1, "failed": 0, "drifted": 0,
        }, [each for each in answer["results"] if each["errors"]]  # fmt: skip
        assert held() == 300
        again = await sync(agent, kube_namespace, entries(300, "up == 1"), prune=True)
        assert again["summary"]["unchanged"] == 300


async def test_drift_is_what_somebody_else_has_changed(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str
) -> None:
    """Contract §5: 'Without `rules` a sync reports drift: managed objects whose spec differs from the hash kept'."""
    async with start_agent(KUBECONFIG=str(kube_cluster.kubeconfig)) as agent:
        await sync(agent, kube_namespace, entries(3))
        meddled = kube_cluster.api.get(VERSION, KIND, "rule1", namespace=kube_namespace)
        meddled["spec"]["groups"][0]["rules"][0]["expr"] = "up == 5"
        path = kube_cluster.api.path(VERSION, KIND, "rule1", namespace=kube_namespace)
        kube_cluster.api.request("PUT", path, meddled)
        status, drift = await agent.post(f"{RULES}/sync", {"type": "prometheus", "namespace": kube_namespace})
        assert status == 200
        assert [(each["name"], each["result"]) for each in drift["results"]] == [("Rule1", "drifted")]
        assert drift["summary"]["unchanged"] == 2


async def test_without_a_cluster_it_is_503_and_everything_else_works(start_agent: StartAgent, tmp_path: Any) -> None:
    """Contract §5: 'a backend without its CRD or cluster is 503'; §7: 'everything but Kubernetes works'."""
    async with start_agent(KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path)) as agent:
        for where, body in ((RULES, EXAMPLE), (f"{RULES}/sync", {"rules": [EXAMPLE]})):
            status, problem = await agent.post(where, body)
            assert (status, problem["code"]) == (503, "backend_unavailable")
        page = await agent.get(RULES)
        assert [error["type"] for error in page["errors"]] == ["prometheus", "victoriaMetrics"]
        assert {error["code"] for error in page["errors"]} == {"backend_unavailable"}


AFTER_THE_README = """
candy "$AGENT/api/alert-rules/HighCPUUsage?type=prometheus"
candy "$AGENT/api/alert-rules?namespace=monitoring"
candy $AGENT/api/alert-rules/sync -d '{
  "type": "prometheus",
  "dry_run": true,
  "prune": true,
  "rules": [{"name": "InstanceDown", "content": "up == 0", "for": "2m", "labels": {"severity": "critical"}}]
}'
candy $AGENT/api/alert-rules/sync -d '{"type": "prometheus"}'
candy -X DELETE "$AGENT/api/alert-rules?name=HighCPUUsage&type=prometheus"
"""
"""What can be done with the rule that the README's command creates."""


async def run_commands(start_agent: StartAgent, cluster: KubeCluster, commands: str) -> list[Any]:
    """The answers to the commands, one after the other, with the function that the README's tour defines."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (function,) = re.findall(r"^candy\(\) .*$", readme, re.MULTILINE)
    namespace = cluster.create_namespace("monitoring")
    try:
        async with start_agent(KUBECONFIG=str(cluster.kubeconfig)) as agent:
            script = f"set -e\nAGENT={agent.process.url} KEY={KEY}\n{function}\n{commands}"
            shell = await asyncio.create_subprocess_exec("bash", "-c", script, stdout=PIPE, stderr=PIPE)
            out, errors = await shell.communicate()
    finally:
        cluster.delete_namespace(namespace)
    assert shell.returncode == 0, errors
    return [json.loads(line) for line in out.decode().splitlines()]


def rule_commands(page: str) -> str:
    """The commands of a page that are about alert rules."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    return "\n".join(block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "api/alert-rules" in block)


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
async def test_the_command_of_the_readme_creates_a_rule(
    start_agent: StartAgent, kube_cluster: KubeCluster, readme: str
) -> None:
    answers = await run_commands(start_agent, kube_cluster, rule_commands(readme) + AFTER_THE_README)
    made, read, page, would, drift, gone = answers
    assert made["object_name"] == "highcpuusage", made
    assert read == made
    assert [rule["name"] for rule in page["rules"]] == ["HighCPUUsage"]
    assert {each["name"]: each["result"] for each in would["results"]} == {
        "InstanceDown": "created", "HighCPUUsage": "deleted",
    }  # fmt: skip
    assert drift["results"] == []
    assert gone["content"] == made["content"]


@pytest.mark.parametrize("page", ["docs/alert-rules.md", "docs/alert-rules.zh.md"])
async def test_the_commands_of_the_page_work(start_agent: StartAgent, kube_cluster: KubeCluster, page: str) -> None:
    """As they stand there, one after the other."""
    commands = rule_commands(page)
    answers = await run_commands(start_agent, kube_cluster, commands)
    assert len(answers) == len(re.findall(r"^candy ", commands, re.MULTILINE))
    made, read, *_ = answers
    assert made["object_name"] == "highcpuusage", made
    assert f"```yaml\n{made['content']}```" in (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    assert read == made
    # Two ways to delete the same rule stand one after the other; the second finds it gone.
    assert {answer["code"] for answer in answers if "code" in answer} <= {"not_found"}
    synced = [{each["name"]: each["result"] for each in answer["results"]} for answer in answers if "results" in answer]
    assert {"InstanceDown": "created", "Broken": "failed"} in synced
    assert {} in synced, "nobody has changed a rule"
