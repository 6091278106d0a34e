"""Whether a server's ``label_replace`` and ``or`` keep every value, so that queries may be batched.

Prometheus 2.40 to 2.43 (at least) turn a native histogram into a 0 there, and nothing in the answer shows it. So only
a server that identifies itself as one without this fault is sent batches.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from msgspec import Struct, json

from candy_kit_promql.client import Endpoint
from candy_kit_promql.failure import QueryFailed
from candy_kit_promql.wire import UNREADABLE

SupportsBatches = Callable[[Endpoint, float], Awaitable[bool]]
"""Finds out, within some seconds, whether an endpoint may be sent batches. Never raises :class:`QueryFailed`."""

_FAULTY_FROM = (2, 40)
_FIXED_IN = (2, 48)
_FEATURE = "native-histograms"
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.")


class _Build(Struct, gc=False):
    """Prometheus gives all three; other servers with this path, such as VictoriaMetrics, give fewer or more."""

    version: str
    revision: str
    goVersion: str  # noqa: N815  # the server's spelling
    application: str = ""


_read_build = json.Decoder(_Build).decode
_read_flags = json.Decoder(dict[str, str]).decode


async def prometheus_supports_batches(endpoint: Endpoint, seconds: float) -> bool:
    """For Prometheus itself: by its version, and for some versions by the enabled features."""
    try:
        reply, _ = await endpoint.request(endpoint.build_url, None, seconds)
        build = _read_build(reply.data)
        found = _VERSION.match(build.version)
        if found is None or not build.goVersion or build.application:
            return False
        version = (int(found[1]), int(found[2]))
        if version >= _FIXED_IN or (2, 0) <= version < _FAULTY_FROM:
            return True
        if version < _FAULTY_FROM:
            return False
        reply, _ = await endpoint.request(endpoint.flags_url, None, seconds)
        flags = _read_flags(reply.data)
    except (QueryFailed, *UNREADABLE):
        return False
    return _FEATURE not in flags.get("enable-feature", _FEATURE)
