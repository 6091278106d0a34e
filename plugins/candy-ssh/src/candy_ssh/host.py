"""Host names, and the patterns of the hosts that items may use."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATTERN = re.compile(r"[a-z0-9_.*?\[\]!-]+")
_ADDRESS_PATTERN = re.compile(r"(?=.*[0-9])[0-9.*?]+")


class Host(str):
    """A host name in ASCII or an IP address, in lower case; never a text that a program could parse as an option."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Host:
        """Check a name. Raises ``ValueError``, which says what is allowed and does not contain the name.

        Addresses in the old notations (``127.1``, ``0x7f000001``, ``2130706433``) are rejected: the resolver would
        treat them as addresses, but a pattern would treat them as names.
        """
        if text.isascii() and len(text) <= 254:
            address = _address(text)
            if address is not None:
                return cls(str(address))
            labels = text.lower().removesuffix(".").split(".")
            if all(_LABEL.fullmatch(label) for label in labels) and not _NUMERIC.fullmatch(labels[-1]):
                return cls(".".join(labels))
        raise ValueError("expected a host name in ASCII or an IP address")

    @property
    def is_address(self) -> bool:
        """Whether it is an IP address."""
        return _address(self) is not None


class HostPattern(str):
    """One entry of an allow-list: a name, a glob of names (``*.example.com``), an address, a CIDR or ``10.0.0.*``.

    A name is compared as it is written, never by the address that it resolves to. ``*`` alone matches every host.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Check a pattern. Raises ``ValueError``."""
        lower = text.strip().lower().removesuffix(".")
        if _network(lower) is None and not _PATTERN.fullmatch(lower):
            raise ValueError("expected a host name, a glob such as *.example.com, an IP address or a CIDR")
        return cls(lower)

    def matches(self, host: Host) -> bool:
        """Whether ``host`` matches this pattern."""
        if self == "*":
            return True
        network = _network(self)
        address = _address(host)
        if network is not None:
            return address is not None and address in network
        if (address is not None) != bool(_ADDRESS_PATTERN.fullmatch(self)):
            return False  # so that 10.* matches no name, and *.example.com no address
        return fnmatchcase(host, self)


def allowed(host: Host, patterns: Iterable[HostPattern]) -> bool:
    """Whether one of the patterns matches."""
    return any(pattern.matches(host) for pattern in patterns)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
