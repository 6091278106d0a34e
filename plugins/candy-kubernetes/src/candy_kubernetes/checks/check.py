"""The types that a check consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from candy_core import Json
from candy_kubernetes.offenders import Findings
from candy_kubernetes.page import Page
from candy_kubernetes.params import KubernetesParams


@frozen(kw_only=True)
class Resource:
    """A kind of object and where it is listed. ``page`` is the type of a page, with only the fields that are read.

    ``versions`` are the supported ones, in order of preference. With ``field_selector`` the API server leaves out other
    objects. ``selected`` is whether an item's label selector applies to these objects.
    """

    group: str = ""
    versions: tuple[str, ...] = ("v1",)
    plural: str
    kind: str
    page: type[Page[Any]]
    namespaced: bool = True
    field_selector: str = ""
    selected: bool = True

    @property
    def name(self) -> str:
        """Its name as in RBAC: ``pods``, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, version: str, namespace: str | None) -> str:
        """The path of its list. ``namespace`` is a DNS label, and needs no quoting."""
        base = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return f"{base}/namespaces/{namespace}/{self.plural}" if namespace else f"{base}/{self.plural}"


class Scan(Protocol):
    """One pass over the objects of a check, for one set of params. It runs in a thread, one call at a time."""

    def inspect(self, resource: Resource, obj: Mapping[str, Json]) -> None:
        """Check one object. Never raises, even if the object is malformed."""
        ...

    def findings(self) -> Findings:
        """The offenders found, once all objects have been inspected."""
        ...


@frozen(kw_only=True)
class Check:
    """A check: the ``noun`` for its objects in sentences, the ``resources`` to list, in this order, and the ``scan``.

    ``scan`` takes the params and the task's evaluation time in Unix seconds. ``needs_objects``: whether it is reported
    if no object is found.
    """

    noun: str
    resources: tuple[Resource, ...]
    scan: Callable[[KubernetesParams, float], Scan]
    needs_objects: bool = True
