"""The plugin ``vmrule``: announces the backend for rules of the type ``victoriaMetrics`` (contract section 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import Health, PluginContext, RuleBackendSpec, hookimpl
from candy_kit_kube import CustomRuleBackend, RuleObjectSettings, RuleResource, open_cluster
from candy_kit_rules import VICTORIAMETRICS_RULES, RuleDatasource, check_by_past_query, open_checker
from candy_vmrule.groups import VMGroup

VM_RULE = RuleResource(group="operator.victoriametrics.com", version="v1beta1", plural="vmrules", kind="VMRule")


@frozen(kw_only=True)
class VMRuleSettings(RuleObjectSettings):
    """The cluster, the objects' labels, and the server that checks expressions.

    ``datasource`` is a VictoriaMetrics, preferably the one that vmalert queries. The URL of a VictoriaMetrics cluster
    has a path (``http://vmselect:8481/select/0/prometheus``).
    """

    datasource: RuleDatasource | None = None


@asynccontextmanager
async def open_vmrule(context: PluginContext, settings: VMRuleSettings) -> AsyncIterator[CustomRuleBackend]:
    """Open the backend. Nothing is connected before the first call."""
    async with (
        open_cluster(context, settings) as cluster,
        open_checker(context, VICTORIAMETRICS_RULES, settings.datasource, check_by_past_query) as check,
    ):
        yield CustomRuleBackend(cluster, VM_RULE, validate=check, labels=settings.labels)


async def check(backend: CustomRuleBackend) -> Health:
    """Whether the cluster can be reached and serves VMRule objects."""
    return await backend.check()


@hookimpl
def candy_rule_backends() -> Iterable[RuleBackendSpec[VMRuleSettings]]:
    """Announce the backend with all its names (contract section 5)."""
    yield RuleBackendSpec(
        name="victoriametrics",
        aliases=("victoriaMetrics", "vm"),
        wire_name="victoriaMetrics",
        settings=VMRuleSettings,
        open=open_vmrule,
        group=VMGroup,
        check=check,
    )
