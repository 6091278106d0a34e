"""What the author of a plugin tells the suite: the backend under test, and how to go behind its back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, field, frozen

from candy_core.model.rule import RuleRef
from candy_core.model.task import Json
from candy_core.ports.rule_backend import RuleBackendSpec

Groups = tuple[Mapping[str, Json], ...]
Behind = Callable[[RuleRef, Groups], Awaitable[None]]


def alert_groups(number: int) -> Groups:
    """One group with one alert, another for every number, as most backends take it."""
    alert: dict[str, Json] = {
        "alert": "Suite",
        "expr": f"up > {number}",
        "for": "5m",
        "labels": {"severity": "warning"},
    }
    return ({"name": "suite", "rules": [alert]},)


@frozen(kw_only=True)
class BadRule:
    """Groups that ``validate`` finds something wrong with, and a path at which it says so."""

    groups: Groups
    path: str


@frozen(kw_only=True)
class Subject:
    """A backend under test.

    ``settings`` are its plugin's, as the configuration file would have them, ``credentials`` what it may look up.
    ``groups`` gives valid groups, canonical and different for every number. ``namespaces`` are two that the suite may
    write to; it uses names of its own, and removes what it has made.

    ``foreign`` writes an object that the agent does not manage, ``ref.name`` being the *object's* name. ``change``
    gives an object of the agent's other groups, behind its back. ``own`` makes somebody else the owner of an object's
    groups, so that a write of the agent's is a ``FieldConflict``; ``owner`` is how the error calls them.

    ``bad`` are rules that it refuses, ``unreachable`` settings with which its other side cannot be had, ``secrets``
    every secret text within settings and credentials. ``seconds`` is what a call may take, a cancelled one too.
    """

    plugin: str
    spec: RuleBackendSpec[Any]
    settings: Mapping[str, Json] = field(factory=dict, repr=False)
    credentials: Mapping[str, str] = field(factory=dict, repr=False)
    namespaces: tuple[str, str] = ("monitoring", "default")
    groups: Callable[[int], Groups] = alert_groups
    foreign: Behind
    change: Behind
    own: Callable[[RuleRef], Awaitable[None]] | None = None
    owner: str = ""
    bad: Sequence[BadRule] = ()
    unreachable: Mapping[str, Json] | None = field(default=None, repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    names: Sequence[str] = Factory(
        lambda: ("HighCPUUsage", "high cpu", "CPU使用率过高", "up.down", "-", "a/b", "..", "x" * 253, "é%20?&=#")
    )
    """Names of rules that it must be able to keep, each beside the others."""
    meeting: tuple[str, str] = ("HighCPUUsage", "High CPU usage")
    """Two names that lead, or might lead, to one object."""
    racers: int = 6
    seconds: float = 30.0
