"""What the author of a plugin gives to the suite: the executor under test, and a few items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, field, frozen
from attrs.validators import min_len

from candy_core.model.task import Json, Reason
from candy_core.ports.context import ByteLimits
from candy_core.ports.executor import ExecutorSpec
from candy_core.testing.executor.processes import Process

MIB = 1024 * 1024
LIMITS = ByteLimits(answer=4 * MIB, output=16 * 1024)


@frozen(kw_only=True)
class Case:
    """One item, and how it must end.

    ``params`` are as in a task. ``reason`` and ``value`` are the outcome's; a ``value`` of ``None`` stands for any.
    ``matches`` is a regular expression that must be found in its ``message`` or ``details``.
    """

    params: Mapping[str, Json]
    reason: str = Reason.OK
    value: str | None = None
    matches: str | None = None


@frozen(kw_only=True)
class Oversized(Case):
    """An item whose backend or command returns far too much: a gigabyte, binary data, output without end.

    It has ``seconds`` to end by itself before it is canceled; ``reason`` is ``timeout`` if it should be canceled.
    ``memory`` is the number of bytes that the process may grow by; the output must be larger than that.
    """

    seconds: float = 5.0
    memory: int = 64 * MIB


def none(process: Process) -> bool:
    """The default for :attr:`Subject.not_ours`."""
    return False


@frozen(kw_only=True)
class Subject:
    """An executor under test. ``plugin``, ``spec`` and ``ordinary`` are required; each other field enables more tests.

    ``plugin`` is the name of the entry point, ``settings`` the plugin's section of a configuration. ``ordinary`` are
    items that end soon and not as ``failed``. ``failures`` are items that cannot succeed, each with the expected
    reason, ``bad_params`` included. ``endless`` are params of items that run until they are stopped (a server that
    never answers, ``sleep 600``). For ``oversized`` see :class:`Oversized`. ``numbered`` makes the nth of many items,
    each with a different ``value``; ``many`` of them are run.

    ``secrets`` are texts in ``settings``, in the params of items or in ``credentials`` that must not appear anywhere.
    ``credentials`` are what ``context.credential`` finds, by name. ``limits`` are the byte limits that the plugin gets;
    small ones keep oversized output short.

    Times are in seconds. An ordinary or failing item ends by itself ``end_within``; after a cancel or a deadline an
    item ends ``stop_within``; closing takes at most ``close_within``. ``not_ours`` recognizes processes that belong to
    a test server and not to the plugin (those of an sshd, for example); any other process that an item starts and
    leaves counts as a leak. ``may_block`` are functions whose blocking calls take only a moment: each is the ending of
    its file's path, and its name.
    """

    plugin: str
    spec: ExecutorSpec[Any, Any]
    ordinary: Sequence[Case] = field(validator=min_len(1))
    settings: Mapping[str, Json] = Factory(dict)
    failures: Sequence[Case] = ()
    endless: Sequence[Mapping[str, Json]] = ()
    oversized: Sequence[Oversized] = ()
    numbered: Callable[[int], Case] | None = None
    many: int = 60
    secrets: Sequence[str] = ()
    credentials: Mapping[str, str] = Factory(dict)
    limits: ByteLimits = LIMITS
    end_within: float = 30.0
    stop_within: float = 1.0
    close_within: float = 5.0
    not_ours: Callable[[Process], bool] = none
    may_block: Sequence[tuple[str, str]] = ()
