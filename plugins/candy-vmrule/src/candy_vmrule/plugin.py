"""The plugin ``vmrule``: announces the backend for rules of the type ``victoriaMetrics`` (contract section 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import Health, PluginContext, RuleBackendSpec, hookimpl
from candy_kit_kube import CustomRuleBackend, RuleObjectSettings, RuleResource, open_cluster
from candy_kit_rules import VICTORIAMETRICS_RULES, RuleDatasource, ask_long_ago, open_checker
from candy_vmrule.groups import VMGroup

VM_RULE = RuleResource(group="operator.victoriametrics.com", version="v1beta1", plural="vmrules", kind="VMRule")


@frozen(kw_only=True)
class VMRuleSettings(RuleObjectSettings):
    """The cluster, the objects' labels and, if expressions are to be judged by a server, its address.

    ``datasource`` is VictoriaMetrics, a cluster's with its path (``http://vmselect:8481/select/0/prometheus``): best
    the one that vmalert asks.
    """

    datasource: RuleDatasource | None = None


@asynccontextmanager
async def open_vmrule(context: PluginContext, settings: VMRuleSettings) -> AsyncIterator[CustomRuleBackend]:
    """Make the backend ready; nothing is connected before the first call."""
    async with (
        open_cluster(context, settings) as cluster,
        open_checker(context, VICTORIAMETRICS_RULES, settings.datasource, ask_long_ago) as check,
    ):
        yield CustomRuleBackend(cluster, VM_RULE, validate=check, labels=settings.labels)


async def check(backend: CustomRuleBackend) -> Health:
    """Whether the cluster answers and knows VMRule objects."""
    return await backend.check()


@hookimpl
def candy_rule_backends() -> Iterable[RuleBackendSpec[VMRuleSettings]]:
    """Announce the backend by all names that section 5 has for it."""
    yield RuleBackendSpec(
        name="victoriametrics",
        aliases=("victoriaMetrics", "vm"),
        wire_name="victoriaMetrics",
        settings=VMRuleSettings,
        open=open_vmrule,
        group=VMGroup,
        check=check,
    )
