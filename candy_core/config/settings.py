"""The settings of the core (contract section 7), and the types of their values."""

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
"""An agent's id is part of the path of its heartbeat, so it has only characters that need no escaping there."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_SIZE = re.compile(r"([0-9]{1,15})\s*(?:([KMG])i?B?|B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a level in upper or lower case, including ``warn`` and ``fatal``."""
        name = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text.strip().upper(), text.strip().upper())
        if name not in cls.__members__:
            raise ValueError(f"expected one of {', '.join(cls)}")
        return cls(name)

    @property
    def number(self) -> int:
        """The level as a number of :mod:`logging`."""
        return logging.getLevelNamesMapping()[self.value]


@frozen
class Address:
    """An address to listen on: ``host:port``, with an IPv6 address in brackets. Port 0 lets the system choose."""

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
        return cls(host or "0.0.0.0", int(port))  # noqa: S104  # the contract's default: an agent serves other hosts

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ByteSize(int):
    """A number of bytes, optionally with a unit: ``64KiB``, ``16MiB``, ``1G``."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Read a size. Units are powers of 1024."""
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
    """The settings of the core. Each has a default, and its name is the key in the file.

    Times are in seconds, sizes in bytes. The variable of a setting is ``CANDY_`` and its name in capitals.
    """

    listen: Address = Address("0.0.0.0", 8888)  # noqa: S104  # contract section 7
    server_url: HttpUrl | None = None
    """Candy-Server. Without it there is no heartbeat and no callback."""
    agent_id: Annotated[str, Meta(pattern=AGENT_ID_PATTERN)] = "candy-agent"
    cluster_name: Annotated[str, Meta(min_length=1, max_length=253)] = "default-cluster"
    agent_endpoint: HttpUrl | None = None
    """The address at which Candy-Server reaches this agent. ``None``: the address of the pod or the host."""
    heartbeat_interval: Annotated[float, Meta(ge=0.1, le=86400)] = 30.0
    heartbeat_key_plaintext: bool = False
    """Whether a key that the agent generated may be sent to Candy-Server over plain http, except on loopback."""
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
    """If set, clients need a certificate of this CA."""
    spool_dir: Path | None = None
    """A folder for undelivered callbacks, which then survive a restart."""
    task_store: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")] = "memory"
    redis_url: Secret | None = None
    store_key: Secret | None = None
    """Encrypts passwords and private keys in a shared store."""
    max_body: Bytes = _16_MIB
    """Of the body of a request."""
    max_answer: Bytes = _32_MIB
    """Of the response of a backend."""
    max_output: Bytes = _64_KIB
    """Of each stream of a command."""
    max_concurrent: Count = 128
    """Simultaneous executor calls."""
    max_concurrent_per_executor: Count = 32
    """For each executor, or for each of its datasources (``ExecutorSpec.concurrency_key``)."""
    max_running_tasks: Count = 16
    max_pending_tasks: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    """Waiting tasks. One more is rejected with ``queue_full``."""
    busy_mark: Annotated[float, Meta(ge=0, le=1)] = 0.8
    """The fraction of ``max_pending_tasks`` above which the agent reports ``busy``."""
    keep_seconds: Annotated[float, Meta(ge=0, le=30 * 86400)] = 86400.0
    """The time for which ended tasks are kept."""
    keep_bytes: Bytes = _128_MIB
    """The size of the ended tasks that are kept. The oldest are removed first."""
    outbox_bytes: Bytes = _128_MIB
    """The size of undelivered results. Beyond it new tasks are rejected with ``overloaded``."""
    shutdown_grace: Annotated[float, Meta(ge=0, le=3600)] = 25.0
    """The time that running tasks have after SIGTERM."""

    @property
    def busy_above(self) -> int:
        """The number of waiting tasks above which the agent reports ``busy``."""
        return int(self.max_pending_tasks * self.busy_mark)

    @property
    def tls(self) -> bool:
        """Whether the listener uses TLS."""
        return self.tls_cert_file is not None


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Problems of settings that are valid one by one. The path of each problem is the name of a setting."""
    for one, other in (("tls_cert_file", "tls_key_file"), ("tls_key_file", "tls_cert_file")):
        if getattr(settings, one) and not getattr(settings, other):
            yield Problem(one, f"requires {other}")
    if settings.tls_client_ca_file and not settings.tls:
        yield Problem("tls_client_ca_file", "requires tls_cert_file and tls_key_file")
    for name in ("tls_cert_file", "tls_key_file", "tls_client_ca_file", "api_keys_file"):
        path: Path | None = getattr(settings, name)
        if path and not path.is_file():
            yield Problem(name, "expected a file, but there is no file of this name")
    for name in ("api_key", "server_api_key"):
        secret: Secret | None = getattr(settings, name)
        if secret and any(character < " " or character == "\x7f" for character in secret.reveal()):
            yield Problem(name, "expected one line without control characters, since it is sent in a header")
    for plugin in settings.plugins_required:
        if plugin in settings.plugins_blocked:
            yield Problem("plugins_required", f"{plugin} is blocked by plugins_blocked")
