"""What the author of a plugin gives to the suite: the backend under test, and ways to change its objects directly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, field, frozen

from candy_core.model.rule import RuleRef
from candy_core.model.task import Json
from candy_core.ports.rule_backend import RuleBackendSpec

Groups = tuple[Mapping[str, Json], ...]
DirectWrite = Callable[[RuleRef, Groups], Awaitable[None]]


def alert_groups(number: int) -> Groups:
    """One group with one alert, different for every number, in a form that most backends accept."""
    alert: dict[str, Json] = {
        "alert": "Suite",
        "expr": f"up > {number}",
        "for": "5m",
        "labels": {"severity": "warning"},
    }
    return ({"name": "suite", "rules": [alert]},)


@frozen(kw_only=True)
class BadRule:
    """Invalid groups, and the path of a problem that ``validate`` finds in them."""

    groups: Groups
    path: str


@frozen(kw_only=True)
class Subject:
    """A backend under test.

    ``settings`` are the plugin's section of a configuration, ``credentials`` the secrets that it may look up.
    ``groups`` returns valid, canonical groups, different for every number. The suite writes to both ``namespaces``,
    under unique names, and deletes what it has created.

    ``foreign`` writes an object that the agent does not manage; ``ref.name`` is the name of the *object*. ``change``
    changes the groups of a managed object directly. ``own`` gives an object's groups to another owner, so that a write
    of the agent raises ``FieldConflict``; ``owner`` is that owner's name in the error.

    ``bad`` are rules that the backend rejects, ``unreachable`` settings with which its server is unreachable,
    ``secrets`` every secret text in settings and credentials. A call, canceled or not, may take ``seconds``.
    """

    plugin: str
    spec: RuleBackendSpec[Any]
    settings: Mapping[str, Json] = field(factory=dict, repr=False)
    credentials: Mapping[str, str] = field(factory=dict, repr=False)
    namespaces: tuple[str, str] = ("monitoring", "default")
    groups: Callable[[int], Groups] = alert_groups
    foreign: DirectWrite
    change: DirectWrite
    own: Callable[[RuleRef], Awaitable[None]] | None = None
    owner: str = ""
    bad: Sequence[BadRule] = ()
    unreachable: Mapping[str, Json] | None = field(default=None, repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    names: Sequence[str] = Factory(
        lambda: ("HighCPUUsage", "high cpu", "CPU使用率过高", "up.down", "-", "a/b", "..", "x" * 253, "é%20?&=#")
    )
    """Names of rules that it must be able to store at the same time."""
    colliding_names: tuple[str, str] = ("HighCPUUsage", "High CPU usage")
    """Two names that lead, or might lead, to the same object."""
    racers: int = 6
    seconds: float = 30.0
