"""The plugin ``prometheusrule``: announces the backend for rules of the type ``prometheus`` (contract section 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from attrs import frozen

from candy_core import Health, PluginContext, RuleBackendSpec, hookimpl
from candy_kit_kube import CustomRuleBackend, RuleObjectSettings, RuleResource, open_cluster
from candy_kit_rules import PROMETHEUS_RULES, RuleDatasource, check_by_parsing, open_checker
from candy_prometheusrule.groups import PrometheusGroup

PROMETHEUS_RULE = RuleResource(
    group="monitoring.coreos.com", version="v1", plural="prometheusrules", kind="PrometheusRule"
)


@frozen(kw_only=True)
class PrometheusRuleSettings(RuleObjectSettings):
    """The cluster, the objects' labels, and the server that checks expressions.

    ``datasource`` is a Prometheus or a compatible server, preferably the one that will evaluate the rules.
    """

    datasource: RuleDatasource | None = None


@asynccontextmanager
async def open_prometheusrule(
    context: PluginContext, settings: PrometheusRuleSettings
) -> AsyncIterator[CustomRuleBackend]:
    """Open the backend. Nothing is connected before the first call."""
    async with (
        open_cluster(context, settings) as cluster,
        open_checker(context, PROMETHEUS_RULES, settings.datasource, check_by_parsing) as check,
    ):
        yield CustomRuleBackend(cluster, PROMETHEUS_RULE, validate=check, labels=settings.labels)


async def check(backend: CustomRuleBackend) -> Health:
    """Whether the cluster can be reached and serves PrometheusRule objects."""
    return await backend.check()


@hookimpl
def candy_rule_backends() -> Iterable[RuleBackendSpec[PrometheusRuleSettings]]:
    """Announce the backend ``prometheus``."""
    yield RuleBackendSpec(
        name="prometheus",
        settings=PrometheusRuleSettings,
        open=open_prometheusrule,
        group=PrometheusGroup,
        check=check,
    )
