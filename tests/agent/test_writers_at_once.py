"""Two agents and a person with kubectl who write the same rule (contract section 5): no accepted write is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from attrs import frozen

from candy_testbed import KubeCluster
from candy_testbed.kube.kubectl import Kubectl
from candy_testbed.running_agent import RunningAgent, StartAgent

RULES = "/api/alert-rules"
VERSION, KIND = "monitoring.coreos.com/v1", "PrometheusRule"
PERSON = "example.com/log"
"""The annotation of the object that the person alone writes; the agents write one of the alert's."""


@frozen
class Accepted:
    """A write that was taken: the version that the writer had read, the one that it made, and the words it added."""

    read: str
    made: str
    words: str


@frozen
class Writers:
    """Two agents, and a person, who all write the rule ``Contended``."""

    agents: tuple[RunningAgent, RunningAgent]
    kubectl: Kubectl
    namespace: str

    @property
    def path(self) -> str:
        """Where the rule is read."""
        return f"{RULES}/Contended?type=prometheus&namespace={self.namespace}"

    async def put(self, agent: int, read: dict[str, Any], words: str) -> Accepted | str:
        """Add words to the log of a rule that was read, through an agent; a refusal is its code."""
        log = f"{read['annotations']['log']} {words}"
        changed = {**read, "content": "up == 0", "annotations": {"log": log}}
        async with self.agents[agent].http.put(RULES, json=changed) as answer:
            told = await answer.json()
        if answer.status == 200:
            return Accepted(read["resource_version"], told["resource_version"], words)
        assert answer.status == 409, told
        return str(told["code"])

    async def read(self) -> Any:
        """The object, as the person sees it."""
        return await self.kubectl.read(KIND, "contended", self.namespace)

    async def replace(self, read: Any, words: str) -> Accepted | str:
        """Add words to the person's log of an object that was read, and replace it by that."""
        version = read["metadata"]["resourceVersion"]
        notes = read["metadata"]["annotations"]
        notes[PERSON] = f"{notes.get(PERSON, '')} {words}".strip()
        result = await self.kubectl.replace(read)
        if result.exit_code == 0:
            return Accepted(version, result.object["metadata"]["resourceVersion"], words)
        assert "(Conflict)" in result.stderr, result
        return "conflict"


@pytest.fixture
async def writers(
    start_agent: StartAgent, kube_cluster: KubeCluster, kube_namespace: str, kubectl: Kubectl
) -> AsyncIterator[Writers]:
    """Two agents with ids of their own, and the rule."""
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(start_agent(KUBECONFIG=str(kube_cluster.kubeconfig), AGENT_ID=name))
            for name in ("agent-001", "agent-002")
        ]
        body = {"name": "Contended", "type": "prometheus", "namespace": kube_namespace, "content": "up == 0"}
        status, made = await first.post(RULES, {**body, "annotations": {"log": "begin"}})
        assert status == 201, made
        writers = Writers((first, second), kubectl, kube_namespace)
        # All three have a connection, or a cache, so that none is done before another has begun.
        assert await second.get(writers.path) | made == made
        assert (await kubectl("get", KIND, "--all-namespaces")).exit_code == 0
        yield writers


async def test_each_accepted_write_knew_of_the_one_before(writers: Writers, kube_cluster: KubeCluster) -> None:
    """Contract §5: 'every apply with a resourceVersion (of what was read…)'; all three as fast as they can."""
    accepted: list[Accepted] = []
    refused: Counter[str] = Counter()
    done: Counter[str] = Counter()
    person_wrote = asyncio.Condition()

    async def write(who: str, once: Callable[[str], Awaitable[Accepted | str]]) -> None:
        outcome = await once(f"{who}{done[who]}")
        if isinstance(outcome, Accepted):
            accepted.append(outcome)
            done[who] += 1
        else:
            refused[outcome] += 1

    async def agent(number: int, who: str) -> None:
        while done[who] < 20:
            await write(who, put_by[number])
            async with person_wrote:  # every five writes one of the slow person's, too
                await person_wrote.wait_for(lambda: done["person"] >= done[who] // 5)

    async def person() -> None:
        while done["person"] < 4:
            await write("person", replace)
            async with person_wrote:
                person_wrote.notify_all()

    async def put(number: int, words: str) -> Accepted | str:
        return await writers.put(number, await writers.agents[number].get(writers.path), words)

    async def replace(words: str) -> Accepted | str:
        return await writers.replace(await writers.read(), words)

    put_by = (partial(put, 0), partial(put, 1))
    async with asyncio.TaskGroup() as group:
        for task in (agent(0, "a"), agent(1, "b"), person()):
            group.create_task(task)
    chain = sorted(accepted, key=lambda each: int(each.made))
    assert [each.read for each in chain[1:]] == [each.made for each in chain[:-1]], "somebody wrote over another's"
    held = kube_cluster.api.get(VERSION, KIND, "contended", namespace=writers.namespace)
    log = held["spec"]["groups"][0]["rules"][0]["annotations"]["log"].split()
    assert log == ["begin", *(each.words for each in chain if not each.words.startswith("person"))]
    assert held["metadata"]["annotations"][PERSON].split() == [f"person{number}" for number in range(4)]
    assert held["metadata"]["resourceVersion"] == chain[-1].made
    assert set(refused) <= {"stale", "conflict"}
    assert refused["stale"], "nobody met anybody"


async def test_of_three_who_read_the_same_one_may_write(writers: Writers) -> None:
    """Contract §5: '409 `stale` if `resource_version` is given and old'; in every second round the person is first."""
    for number in range(8):
        read, seen = await writers.agents[number % 2].get(writers.path), await writers.read()
        replacing = writers.replace(seen, f"person{number}")
        if person_first := bool(number % 2):
            assert isinstance(await replacing, Accepted)
        outcomes = await asyncio.gather(
            *(writers.put(agent, read, f"{number}{agent}") for agent in (0, 1)), *(() if person_first else (replacing,))
        )
        refusals = [each for each in outcomes if isinstance(each, str)]
        assert len(refusals) == 2, outcomes
        assert set(refusals) <= {"stale", "conflict"}


async def test_what_a_person_writes_beside_stays_and_is_no_conflict(writers: Writers) -> None:
    """Server-side apply: another's field is kept; a label and a note need no version, and come in between."""
    where = (KIND, "contended", "--namespace", writers.namespace)

    async def put(agent: int) -> None:
        for number in range(10):
            while isinstance(
                code := await writers.put(agent, await writers.agents[agent].get(writers.path), f"{agent}.{number}"),
                str,
            ):
                assert code == "stale"

    async def note() -> None:
        for number in range(5):
            for verb in ("annotate", "label"):
                result = await writers.kubectl(verb, *where, "--overwrite", f"example.com/{verb}=v{number}")
                assert result.exit_code == 0, result

    async with asyncio.TaskGroup() as group:
        for task in (put(0), put(1), note()):
            group.create_task(task)
    metadata = (await writers.read())["metadata"]
    assert (metadata["annotations"]["example.com/annotate"], metadata["labels"]["example.com/label"]) == ("v4", "v4")
    log = (await writers.agents[0].get(writers.path))["annotations"]["log"].split()
    assert sorted(log) == sorted(["begin", *(f"{agent}.{number}" for agent in (0, 1) for number in range(10))])


async def test_two_agents_that_sync_the_same_rules_make_each_once(writers: Writers) -> None:
    """Contract §5: sync 'makes the cluster hold these'; who comes second finds them, and fails nothing."""
    rules = [{"name": f"Rule{number}", "content": "up == 0"} for number in range(60)]
    body = {"type": "prometheus", "namespace": writers.namespace, "rules": rules}
    answers = await asyncio.gather(*(agent.post(f"{RULES}/sync", body) for agent in writers.agents))
    total: Counter[str] = Counter()
    for status, answer in answers:
        assert status == 200
        total.update(answer["summary"])
    assert (total["created"], total["unchanged"], total["failed"]) == (60, 60, 0), answers


TAKES = {
    "kubectl-edit": ("edit",),
    "kubectl-client-side-apply": ("apply", "--filename", "-"),
    "kubectl-replace": ("replace", "--filename", "-"),
    "kubectl": ("apply", "--server-side", "--force-conflicts", "--filename", "-"),
}
"""Ways in which a person takes a field of the agent's, by the name under which the API server keeps that."""


@pytest.mark.parametrize(
    ("type_name", "kind", "field"),
    [("prometheus", KIND, ".spec.groups"), ("vm", "VMRule", '.spec.groups[name="{name}"].rules')],
)
async def test_what_a_person_has_taken_stays_and_is_named(
    writers: Writers, type_name: str, kind: str, field: str
) -> None:
    """Contract §5: 'Never forced: a foreign field owner is 409 `field_conflict` and named'; a sync costs only that."""
    agent, other = writers.agents
    everything = {"type": type_name, "namespace": writers.namespace}
    for manager, arguments in TAKES.items():
        status, _ = await agent.post(RULES, {**everything, "name": manager, "content": "up == 0"})
        assert status == 201
        manifest = await writers.kubectl.read(kind, manager, writers.namespace)
        manifest["spec"]["groups"][0]["rules"][0]["expr"] = "up == 7"
        for given in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"):
            manifest["metadata"].pop(given, None)
        unforced = await writers.kubectl("apply", "--server-side", "--filename", "-", stdin=manifest)
        assert 'conflict with "candy-agent"' in unforced.stderr, "the person is told, too"
        which = () if "-" in arguments else (kind, manager, "--namespace", writers.namespace)
        result = await writers.kubectl(*arguments, *which, stdin=manifest, editor="sed -i 's/up == 0/up == 7/'")
        assert result.exit_code == 0, result
    before = [await writers.kubectl.read(kind, manager, writers.namespace) for manager in TAKES]
    for manager in TAKES:
        read = await other.get(f"{RULES}/{manager}?type={type_name}&namespace={writers.namespace}")
        assert "up == 7" in read["content"], "what there is is read, whoever wrote it"
        async with other.http.put(RULES, json={**read, "content": "up == 1"}) as answer:
            told = await answer.json()
        assert (answer.status, told["code"]) == (409, "field_conflict"), told
        assert f'{field.format(name=manager)}: conflict with "{manager}"' in told["detail"], told
    rules = [{"name": name, "content": "up == 1"} for name in (*TAKES, "another")]
    _, sync = await agent.post(f"{RULES}/sync", {**everything, "rules": rules})
    assert [each["result"] for each in sync["results"]] == ["failed"] * len(TAKES) + ["created"]
    for manager, result in zip(TAKES, sync["results"], strict=False):
        (problem,) = result["errors"]
        assert problem["message"].startswith("field_conflict: ")
        assert f'conflict with "{manager}"' in problem["message"]
    _, drift = await agent.post(f"{RULES}/sync", everything)
    assert {each["name"]: each["result"] for each in drift["results"]} == dict.fromkeys(TAKES, "drifted")
    assert [await writers.kubectl.read(kind, manager, writers.namespace) for manager in TAKES] == before
