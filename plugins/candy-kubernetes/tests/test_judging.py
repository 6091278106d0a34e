"""How the number of offenders is judged (contract §3)."""

from __future__ import annotations

from typing import Any

import pytest

from candy_core import Locale
from candy_testbed.kubernetes_plugin import Agent, Objects

KINDS = {
    "pods": ("pods", "Pod"),
    "workloads": ("workloads", "工作负载"),
    "services": ("services", "服务"),
    "volumes": ("persistent volume claims", "存储卷声明"),
    "events": ("warning events", "告警事件"),
    "certificates": ("certificates", "证书"),
    "nodes": ("nodes", "节点"),
}


@pytest.fixture
def two_lost(objects: Objects) -> str:
    """A namespace with two lost pods, and one that has succeeded."""
    for name, phase in (("a", "Unknown"), ("b", "Unknown"), ("c", "Succeeded")):
        objects.pod(name, {"phase": phase})
    namespace: str = objects.namespace
    return namespace


@pytest.mark.parametrize(
    ("limits", "status", "message"),
    [
        ({}, "warning", "有 2 个Pod超过阈值 0.00，最高值为 {ns}/a 的 2.00"),
        ({"threshold": "1"}, "warning", "有 2 个Pod超过阈值 1.00，最高值为 {ns}/a 的 2.00"),
        ({"threshold": "2"}, "normal", "所有Pod的值都在阈值 2.00 范围内"),
        ({"threshold": ">=2"}, "warning", "有 2 个Pod超过阈值 2.00，最高值为 {ns}/a 的 2.00"),
        ({"threshold": "5", "critical": "1"}, "critical", "有 2 个Pod超过阈值 1.00，最高值为 {ns}/a 的 2.00"),
        ({"threshold": "0", "critical": "2"}, "warning", "有 2 个Pod超过阈值 0.00，最高值为 {ns}/a 的 2.00"),
        ({"threshold": "<3"}, "warning", "有 2 个Pod低于阈值 3.00，最低值为 {ns}/a 的 2.00"),
        ({"threshold": "!=1"}, "warning", "有 2 个Pod超过阈值 !=1，最高值为 {ns}/a 的 2.00"),
    ],
)
async def test_the_number_of_offenders_is_compared(
    agent: Agent, two_lost: str, limits: dict[str, Any], status: str, message: str
) -> None:
    """Contract §3: "`threshold` gives `warning`, `critical` gives `critical`", on the number of offenders."""
    outcome = await agent.run("pods", namespace=two_lost, locale=Locale.ZH_CN, **limits)
    assert (outcome.status, outcome.value) == (status, "2")
    assert outcome.reason == ("ok" if status == "normal" else "threshold_exceeded")
    assert outcome.message == message.format(ns=two_lost)


async def test_offenders_within_the_threshold_are_named(agent: Agent, two_lost: str) -> None:
    """Contract §3: "`details` names them"."""
    outcome = await agent.run("pods", namespace=two_lost, locale=Locale.ZH_CN, threshold="2")
    assert outcome.details.endswith(
        f"\n\n异常的Pod：\n{two_lost}/a (处于 Unknown 阶段)\n{two_lost}/b (处于 Unknown 阶段)"
    )


async def test_a_lower_bound_has_a_sentence_without_an_offender(agent: Agent, objects: Objects) -> None:
    objects.pod("c", {"phase": "Succeeded"})
    outcome = await agent.run("pods", namespace=objects.namespace, locale=Locale.ZH_CN, threshold="1:")
    assert (outcome.status, outcome.value, outcome.message) == ("warning", "0", "值 0.00 低于阈值 1:")


@pytest.mark.parametrize("check", [check for check in KINDS if check != "events"])
async def test_a_check_without_objects_is_empty_result(agent: Agent, objects: Objects, check: str) -> None:
    """A check without objects has not passed: a misspelled namespace has no offenders either."""
    where: dict[str, Any] = {"label_selector": "no=such"} | (
        {} if check == "nodes" else {"namespace": objects.namespace}
    )
    outcome, strict = await agent.run_together(
        {"check": check, **where}, {"check": check, **where, "no_data": "critical"}, locale=Locale.ZH_CN
    )
    assert (outcome.status, outcome.reason, outcome.value) == ("normal", "empty_result", "0")
    assert outcome.message.endswith(f"没有符合 no=such 的{KINDS[check][1]}")
    assert (strict.status, strict.reason) == ("critical", "empty_result")
    english = await agent.run(check, **where)
    assert f"there are no {KINDS[check][0]} to check with no=such" in english.message


async def test_items_for_the_same_objects_are_judged_separately(agent: Agent, two_lost: str) -> None:
    outcomes = await agent.run_together(
        *({"check": "pods", "namespace": two_lost, "threshold": limit} for limit in ("0", "1", "2"))
    )
    assert [outcome.status for outcome in outcomes] == ["warning", "warning", "normal"]
