"""The core's own settings (contract section 7): one record, and the few kinds of value that it needs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from attrs import frozen
from msgspec import Meta

from candy_core.errors import Problem
from candy_core.model.http_url import HttpUrl
from candy_core.model.secret import Secret

AGENT_ID_PATTERN = r"^(?!\.{1,2}$)[A-Za-z0-9._:@-]{1,253}$"
"""An agent's id stands in the path of its heartbeat, so it is made of what needs no escaping there."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([KMG])i?B?|B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class LogLevel(StrEnum):
    """The least level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a level in any case; ``warn`` and ``fatal`` are known too."""
        name = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text.strip().upper(), text.strip().upper())
        if name not in cls.__members__:
            raise ValueError(f"expected one of {', '.join(cls)}")
        return cls(name)

    @property
    def number(self) -> int:
        """The level as :mod:`logging` counts it."""
        return logging.getLevelNamesMapping()[self.value]


@frozen
class Address:
    """Where to listen. Written ``host:port``, an IPv6 address in brackets; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``0.0.0.0:8888``, ``localhost:8888``, ``[::1]:8888`` or ``:8888`` (all IPv4 addresses)."""
        wrong = ValueError("expected host:port, such as 0.0.0.0:8888 or [::1]:8888")
        host, colon, port = text.strip().rpartition(":")
        if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise wrong
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            try:
                if ip_address(host).version != 6:
                    raise wrong
            except ValueError:
                raise wrong from None
        elif host and not _HOST.fullmatch(host):
            raise wrong
        return cls(host or "0.0.0.0", int(port))  # noqa: S104  # the contract's default: an agent is asked from outside

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ByteSize(int):
    """A number of bytes, which may be written with a unit: ``64KiB``, ``16MiB``, ``1G``."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Read a size; a unit counts in steps of 1024."""
        match = _SIZE.fullmatch(text.strip())
        if not match:
            raise ValueError("expected a number of bytes, such as 16777216 or 16MiB")
        return cls(int(match[1]) * _UNITS[(match[2] or "").upper()])

    def __str__(self) -> str:
        for unit, factor in (("GiB", _UNITS["G"]), ("MiB", _UNITS["M"]), ("KiB", _UNITS["K"])):
            if self and self % factor == 0:
                return f"{self // factor}{unit}"
        return int.__repr__(self)


Count = Annotated[int, Meta(ge=1, le=10_000)]
Bytes = Annotated[ByteSize, Meta(ge=1024, le=4 * 1024**3)]

_64_KIB, _16_MIB, _32_MIB, _128_MIB = (ByteSize.parse(size) for size in ("64KiB", "16MiB", "32MiB", "128MiB"))


@frozen(kw_only=True)
class Settings:
    """What the core can be told. Every field has its default, and bears the name that it has in the file.

    Times are in seconds, sizes in bytes. In the environment each is called ``CANDY_`` and its name in capitals.
    """

    listen: Address = Address("0.0.0.0", 8888)  # noqa: S104  # contract section 7
    server_url: HttpUrl | None = None
    """Candy-Server. Without it there is no heartbeat and no callback."""
    agent_id: Annotated[str, Meta(pattern=AGENT_ID_PATTERN)] = "candy-agent"
    cluster_name: Annotated[str, Meta(min_length=1, max_length=253)] = "default-cluster"
    agent_endpoint: HttpUrl | None = None
    """Where Candy-Server reaches this agent; ``None``: made of the pod's or the host's address."""
    heartbeat_interval: Annotated[float, Meta(ge=0.1, le=86400)] = 30.0
    heartbeat_key_plaintext: bool = False
    """Whether a key that the agent made may go to Candy-Server over plain http beyond loopback."""
    log_level: LogLevel = LogLevel.INFO
    api_key: Secret | None = None
    """One key with every scope."""
    api_keys_file: Path | None = None
    """Several keys with their scopes."""
    server_api_key: Secret | None = None
    plugins_required: tuple[str, ...] = ()
    plugins_blocked: tuple[str, ...] = ()
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    """Where set, only clients with a certificate of this CA are served."""
    spool_dir: Path | None = None
    """A folder in which undelivered callbacks outlive the process."""
    task_store: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")] = "memory"
    redis_url: Secret | None = None
    store_key: Secret | None = None
    """Encrypts what a shared store keeps of passwords and private keys."""
    max_body: Bytes = _16_MIB
    """Of one request."""
    max_answer: Bytes = _32_MIB
    """Of what one backend answers."""
    max_output: Bytes = _64_KIB
    """Of each stream of a command."""
    max_concurrent: Count = 128
    """Executor calls at one time."""
    max_concurrent_per_executor: Count = 32
    """Of one executor; of each datasource where it has several (``ExecutorSpec.concurrency_key``)."""
    max_running_tasks: Count = 16
    max_pending_tasks: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    """Tasks that may wait; one more is refused with ``queue_full``."""
    busy_mark: Annotated[float, Meta(ge=0, le=1)] = 0.8
    """How full of waiting tasks the queue is when the agent calls itself ``busy``, as a part of the whole."""
    keep_seconds: Annotated[float, Meta(ge=0, le=30 * 86400)] = 86400.0
    """How long ended tasks are kept."""
    keep_bytes: Bytes = _128_MIB
    """How much of them is kept, the oldest out first."""
    outbox_bytes: Bytes = _128_MIB
    """How much of undelivered results is kept; more tasks are refused with ``overloaded``."""
    shutdown_grace: Annotated[float, Meta(ge=0, le=3600)] = 25.0
    """How long running tasks may go on after SIGTERM."""

    @property
    def busy_above(self) -> int:
        """The number of waiting tasks above which the agent calls itself ``busy``."""
        return int(self.max_pending_tasks * self.busy_mark)

    @property
    def tls(self) -> bool:
        """Whether the listener speaks TLS."""
        return self.tls_cert_file is not None


def contradictions(settings: Settings) -> Iterator[Problem]:
    """What is wrong with settings that are right one by one; the path of each problem is a setting's name."""
    for one, other in (("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")):
        if getattr(settings, one) and not getattr(settings, other):
            yield Problem(one, f"needs {other} beside it")
    if settings.tls_client_ca_file and not settings.tls:
        yield Problem("tls_client_ca_file", "needs tls_cert_file and tls_key_file beside it")
    for name in ("tls_cert_file", "tls_key_file", "tls_client_ca_file", "api_keys_file"):
        path: Path | None = getattr(settings, name)
        if path and not path.is_file():
            yield Problem(name, "expected a file, and there is none of this name")
    for name in ("api_key", "server_api_key"):
        secret: Secret | None = getattr(settings, name)
        if secret and any(character < " " or character == "\x7f" for character in secret.reveal()):
            yield Problem(name, "expected one line without control characters, since it is sent in a header")
    for plugin in settings.plugins_required:
        if plugin in settings.plugins_blocked:
            yield Problem("plugins_required", f"{plugin} is blocked by plugins_blocked")
