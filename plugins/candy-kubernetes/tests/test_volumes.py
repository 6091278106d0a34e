"""The check ``volumes``: persistent volume claims without a volume."""

from __future__ import annotations

from typing import Any

from candy_core import Locale
from candy_testbed.kubernetes_plugin import Agent, Objects


def claim(objects: Objects, name: str, phase: str | None = None, **metadata: Any) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    status = None if phase is None else {"phase": phase}
    objects.apply("v1", "PersistentVolumeClaim", name, spec=spec, status=status, **metadata)


async def test_an_unbound_claim_is_an_offender_and_a_lost_one_is_the_worst(agent: Agent, objects: Objects) -> None:
    claim(objects, "bound", "Bound")
    claim(objects, "a-pending")
    claim(objects, "lost", "Lost")
    outcome = await agent.run("volumes", namespace=objects.namespace, locale=Locale.ZH_CN)
    assert (outcome.status, outcome.value) == ("warning", "2")
    assert outcome.message == f"有 2 个存储卷声明超过阈值 0.00，最高值为 {objects.namespace}/lost 的 2.00"
    lines = outcome.details.splitlines()
    assert lines[-2].startswith(f"{objects.namespace}/lost (处于 Lost 阶段已 ")
    assert lines[-1].startswith(f"{objects.namespace}/a-pending (处于 Pending 阶段已 ")
    assert outcome.stats == {"offenders": 2, "total": 3, "bound": 1, "pending": 1, "lost": 1}


async def test_a_claim_may_be_pending_within_the_grace_period(agent: Agent, objects: Objects) -> None:
    claim(objects, "pending")
    where: dict[str, Any] = {"namespace": objects.namespace, "grace": "5m"}
    assert (await agent.run("volumes", **where)).value == "0"
    assert (await agent.run("volumes", later=310, **where)).value == "1"
