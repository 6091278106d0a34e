"""The params of an item of the type ``kubernetes`` (contract section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from attrs import frozen
from msgspec import Meta

from candy_core import ItemStatus, Mismatch, Threshold
from candy_kubernetes.span import Span

ANY_OFFENDER: Final = Threshold.parse("0")
"""More than none: who asks for offenders wants to hear of the first."""


class CheckName(StrEnum):
    """What is looked at."""

    NODES = "nodes"
    PODS = "pods"
    WORKLOADS = "workloads"
    SERVICES = "services"
    VOLUMES = "volumes"
    EVENTS = "events"
    CERTIFICATES = "certificates"


@frozen(kw_only=True)
class KubernetesParams:
    """What an item is told. ``check`` alone is required.

    ``namespace`` is one namespace, all of them where it is missing or empty; ``label_selector`` is Kubernetes' own
    language (which ends, for an API server, at a U+0000: it would look at more than was meant). ``threshold`` and
    ``critical`` are compared with the number of offenders; without ``threshold`` one is enough for a warning.
    ``no_data`` is the status where there is nothing to check at all.

    The rest is for some checks alone, and ``None`` stands for the check's own default: ``grace`` (pods, volumes) is how
    long an object may be on its way, ``restarts`` (pods) how many restarts are no offence yet, ``cordoned`` (nodes)
    whether a node that was closed on purpose is one, ``age`` (events) how long an event counts, ``days``
    (certificates) how many a certificate must be good for.
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
        for name, checks in _OF_SOME.items():
            if getattr(self, name) is not None and self.check not in checks:
                raise Mismatch(f"expected {name} beside the check {' or '.join(checks)} only")
        if self.namespace and self.check is CheckName.NODES:
            raise Mismatch("expected no namespace beside the check nodes: nodes are in none")

    def within(self) -> str | None:
        """The namespace that is looked at; ``None`` for all of them."""
        return self.namespace or None


_OF_SOME: Final = {
    "grace": (CheckName.PODS, CheckName.VOLUMES),
    "restarts": (CheckName.PODS,),
    "cordoned": (CheckName.NODES,),
    "age": (CheckName.EVENTS,),
    "days": (CheckName.CERTIFICATES,),
}


def list_key(params: KubernetesParams) -> tuple[str, str | None, str]:
    """Items of a task with the same key look at the same objects, which are listed once for all of them."""
    return (params.check, params.within(), params.label_selector.strip())
