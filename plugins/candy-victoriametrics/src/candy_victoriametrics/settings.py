"""Datasources as the configuration describes them: a single node, or a tenant of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from attrs import Factory, evolve, frozen

from candy_core import HttpUrl, Meta, Mismatch
from candy_kit_promql import Datasource, MetricSettings

Tenant = Annotated[str, Meta(pattern=r"^([0-9]{1,10}(:[0-9]{1,10})?|multitenant)$")]
"""``accountID`` or ``accountID:projectID``; ``multitenant`` for all of them, if the cluster's version supports it."""

_PATH_AND_TENANT = "expected a url without /select/ in its path: tenant adds that path"


@frozen(kw_only=True)
class VictoriaMetricsDatasource(Datasource):
    """One server. With ``tenant`` it is a cluster's ``vmselect``, queried at ``{url}/select/{tenant}/prometheus``.

    Without it the address is used as it is, whatever its path.
    """

    tenant: Tenant | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.tenant is not None and _has_select_path(self.url):
            raise Mismatch(_PATH_AND_TENANT)


@frozen(kw_only=True)
class VictoriaMetricsSettings(MetricSettings):
    """The plugin's section: :class:`~candy_kit_promql.MetricSettings`, and a ``tenant`` for each datasource."""

    tenant: Tenant | None = None
    datasources: Mapping[str, VictoriaMetricsDatasource] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.tenant is not None and _has_select_path(self.url):
            raise Mismatch(_PATH_AND_TENANT)

    def named(self) -> dict[str, Datasource]:
        """Every configured datasource by its name, at the address of its tenant."""
        return {name: _located(source) for name, source in super().named().items()}


SourceT = TypeVar("SourceT", bound=Datasource)


def _located(source: SourceT) -> SourceT:
    if not isinstance(source, VictoriaMetricsDatasource | VictoriaMetricsSettings):
        return source
    if source.url is None or source.tenant is None:
        return source
    url = HttpUrl(f"{source.url}/select/{source.tenant}/prometheus")
    located: SourceT = evolve(source, url=url, tenant=None)
    return located


def _has_select_path(url: HttpUrl | None) -> bool:
    return url is not None and "/select/" in f"{url}/"
