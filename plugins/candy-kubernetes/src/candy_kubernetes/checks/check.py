"""What a check is made of."""

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
    """One kind of object and where it is listed. ``page`` is a list of them, with what is looked at.

    ``versions`` are those that are understood, the best first. ``field_selector`` leaves out what is not looked at,
    on the server already. ``selected`` is whether an item's label selector is about these objects.
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
        """As rights name it: ``pods``, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, version: str, namespace: str | None) -> str:
        """Where it is listed. ``namespace`` is a DNS label, and so needs no quoting."""
        base = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return f"{base}/namespaces/{namespace}/{self.plural}" if namespace else f"{base}/{self.plural}"


class Survey(Protocol):
    """One pass over a check's objects, for one set of params. It runs in a thread, one call at a time."""

    def see(self, resource: Resource, thing: Mapping[str, Json]) -> None:
        """Look at one object. Whatever it is, this raises nothing."""
        ...

    def found(self) -> Findings:
        """What was found, once everything has been seen."""
        ...


@frozen(kw_only=True)
class Check:
    """A check: the ``noun`` that sentences have for its objects, what it lists, in this order, and how it looks at it.

    ``survey`` is given the params and the task's instant in Unix seconds. ``needs_objects``: whether finding no object
    at all is worth a word.
    """

    noun: str
    resources: tuple[Resource, ...]
    survey: Callable[[KubernetesParams, float], Survey]
    needs_objects: bool = True
