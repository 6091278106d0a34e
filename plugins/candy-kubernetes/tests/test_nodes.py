"""The check ``nodes``. Contract §3: "apply to the number of offenders; `value` is that number"."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import Locale
from candy_testbed.kubernetes_plugin import Agent

HERE: dict[str, Any] = {"label_selector": "test=here"}
SINCE = "2026-01-02T03:04:05Z"


def conditions(**statuses: str) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": kind, "status": status, "lastTransitionTime": SINCE, "reason": f"{kind}Reason", "message": "why"}
            for kind, status in statuses.items()
        ]
    }


async def test_nodes_that_are_ready_are_no_offenders(agent: Agent, make_node: Any) -> None:
    make_node(), make_node()
    outcome = await agent.run("nodes", **HERE)
    assert (outcome.status, outcome.reason, outcome.value) == ("normal", "ok", "0")
    assert outcome.stats == {"offenders": 0, "total": 2, "not_ready": 0, "pressure": 0, "cordoned": 0}
    assert outcome.message == "The values of all nodes are within the threshold 0.00"


@pytest.mark.parametrize(
    ("statuses", "issue"),
    [
        ({"Ready": "False"}, f"not ready since {SINCE}: ReadyReason: why"),
        ({"Ready": "Unknown"}, f"its kubelet has been silent since {SINCE}: ReadyReason: why"),
        ({"MemoryPressure": "False"}, "has no Ready condition"),
        ({"Ready": "True", "DiskPressure": "True"}, f"DiskPressure since {SINCE}"),
        ({"Ready": "True", "NetworkUnavailable": "True"}, f"NetworkUnavailable since {SINCE}"),
        ({"Ready": "True", "KernelDeadlock": "True"}, f"KernelDeadlock since {SINCE}"),
    ],
)
async def test_a_node_with_an_issue_is_named_with_it(
    agent: Agent, make_node: Any, statuses: dict[str, str], issue: str
) -> None:
    make_node()
    name = make_node(status=conditions(**statuses))
    outcome = await agent.run("nodes", **HERE)
    assert (outcome.status, outcome.reason, outcome.value) == ("warning", "threshold_exceeded", "1")
    assert outcome.message == f"The value 1.00 of node {name} exceeds the threshold 0.00"
    assert outcome.details.splitlines()[-1] == f"{name} ({issue})"


async def test_good_and_unknown_conditions_are_no_issue(agent: Agent, make_node: Any) -> None:
    make_node(status=conditions(Ready="True", MemoryPressure="False", PIDPressure="Unknown", SriovReady="True"))
    assert (await agent.run("nodes", **HERE)).value == "0"


async def test_a_node_without_conditions_is_not_ready(agent: Agent, make_node: Any) -> None:
    make_node(status={"conditions": None})
    outcome = await agent.run("nodes", **HERE)
    assert (outcome.value, outcome.stats["not_ready"]) == ("1", 1)


async def test_a_cordoned_node_counts_if_the_item_says_so(agent: Agent, make_node: Any) -> None:
    name = make_node(unschedulable=True)
    default, strict = await agent.run_together(
        {"check": "nodes", **HERE}, {"check": "nodes", **HERE, "cordoned": "true"}
    )
    assert (default.value, default.stats["cordoned"]) == ("0", 1)
    assert strict.value == "1"
    assert f"{name} (cordoned)" in strict.details


async def test_the_worst_node_is_first_and_named_in_the_sentence(agent: Agent, make_node: Any) -> None:
    """Contract §3: "with the kind for 节点"; "worst first, ties by name"."""
    pressed = make_node("b-pressed", status=conditions(Ready="True", DiskPressure="True"))
    dead = make_node("c-dead", status=conditions(Ready="Unknown"))
    make_node("a-well")
    outcome = await agent.run("nodes", locale=Locale.ZH_CN, threshold="1", critical="5", **HERE)
    assert (outcome.status, outcome.value) == ("warning", "2")
    assert outcome.message == f"有 2 个节点超过阈值 1.00，最高值为 {dead} 的 2.00"
    blocks = outcome.details.split("\n\n")
    assert blocks[0] == "Check: nodes\nLabel Selector: test=here\nTotal: 3"
    assert [line.split(" ")[0] for line in blocks[1].splitlines()] == ["超过阈值的节点：", dead, pressed]
