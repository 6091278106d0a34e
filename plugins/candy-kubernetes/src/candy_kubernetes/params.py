"""The params of an item of the type ``kubernetes`` (contract section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from attrs import frozen

from candy_core import ItemStatus, Meta, Mismatch, Threshold
from candy_kubernetes.span import Span

ANY_OFFENDER: Final = Threshold.parse("0")
"""The default threshold: exceeded by a single offender."""


class CheckName(StrEnum):
    """The available checks."""

    NODES = "nodes"
    PODS = "pods"
    WORKLOADS = "workloads"
    SERVICES = "services"
    VOLUMES = "volumes"
    EVENTS = "events"
    CERTIFICATES = "certificates"


@frozen(kw_only=True)
class KubernetesParams:
    """An item's params. Only ``check`` is required.

    ``namespace`` is one namespace, all of them if it is missing or empty. ``label_selector`` has Kubernetes' syntax,
    without U+0000: an API server would ignore everything after it. ``threshold`` and ``critical`` are compared with the
    number of offenders; without ``threshold`` one is enough for a warning. ``no_data`` is the status if no object is
    found.

    The others apply to some checks only, and ``None`` is the check's own default: ``grace`` (pods, volumes) is how long
    an object may take to become ready, ``restarts`` (pods) how many restarts are allowed, ``cordoned`` (nodes) whether
    a cordoned node is an offender, ``age`` (events) how long an event counts, ``days`` (certificates) how many days a
    certificate must still be valid.
    """

    check: CheckName
    namespace: Annotated[str, Meta(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] | None = None
    label_selector: Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00]*$")] = ""
    threshold: Threshold = ANY_OFFENDER
    critical: Threshold | None = None
    no_data: ItemStatus | None = None
    grace: Span | None = None
    restarts: Annotated[int, Meta(ge=0)] | None = None
    cordoned: bool | None = None
    age: Span | None = None
    days: Annotated[float, Meta(ge=0, le=36500)] | None = None

    def __attrs_post_init__(self) -> None:
        for name, checks in _CHECKS_WITH.items():
            if getattr(self, name) is not None and self.check not in checks:
                raise Mismatch(f"expected {name} only with the check {' or '.join(checks)}")
        if self.namespace and self.check is CheckName.NODES:
            raise Mismatch("expected no namespace with the check nodes: nodes have none")

    def selected_namespace(self) -> str | None:
        """The namespace to check; ``None`` for all of them."""
        return self.namespace or None


_CHECKS_WITH: Final = {
    "grace": (CheckName.PODS, CheckName.VOLUMES),
    "restarts": (CheckName.PODS,),
    "cordoned": (CheckName.NODES,),
    "age": (CheckName.EVENTS,),
    "days": (CheckName.CERTIFICATES,),
}


def list_key(params: KubernetesParams) -> tuple[str, str | None, str]:
    """Items of a task with the same key check the same objects, which are listed once for all of them."""
    return (params.check, params.selected_namespace(), params.label_selector.strip())
