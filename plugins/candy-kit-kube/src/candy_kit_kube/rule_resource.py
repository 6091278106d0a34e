"""The custom resource that stores the rules of one type."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from attrs import frozen


@frozen(kw_only=True)
class RuleResource:
    """A custom resource with rule groups in ``spec.groups``, such as ``monitoring.coreos.com``, ``v1``,
    ``prometheusrules``, ``PrometheusRule``.
    """

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """``group/version``, the ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}"

    @property
    def definition(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The path of an object, of the list of a namespace, or of all namespaces, with each segment quoted."""
        listed = _list_path(self.group, self.version, self.plural, namespace)
        return listed if name is None else f"{listed}/{quote(name, safe='')}"


@lru_cache(maxsize=256)
def _list_path(group: str, version: str, plural: str, namespace: str | None) -> str:
    scope = [] if namespace is None else ["namespaces", namespace]
    return "".join(f"/{quote(segment, safe='')}" for segment in ("apis", group, version, *scope, plural))
