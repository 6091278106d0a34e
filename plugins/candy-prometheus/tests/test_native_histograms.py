"""Native histograms are not numbers, alone or among others; this Prometheus turns them into a 0 in a batch."""

from __future__ import annotations

import struct
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from candy_core import ItemStatus, Reason
from candy_testbed import Prometheus
from candy_testbed.fixtures import required

ARGUMENTS = ["--enable-feature=native-histograms", "--web.enable-remote-write-receiver"]


def varint(number: int) -> bytes:
    head = b""
    while number > 127:
        head += bytes([number & 127 | 128])
        number >>= 7
    return head + bytes([number])


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def integer(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def double(field: int, number: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", number)


def remote_write(name: str, milliseconds: int) -> bytes:
    """A WriteRequest with one native histogram of ten observations, in Snappy's format (of literals alone)."""
    label = message(1, message(1, b"__name__") + message(2, name.encode()))
    histogram = integer(1, 10) + double(3, 3.5) + integer(4, 2) + double(5, 0.001) + integer(6, 1)
    histogram += message(11, integer(1, 0) + integer(2, 2)) + message(12, varint(8) + varint(2))
    plain = message(1, label + message(4, histogram + integer(15, milliseconds)))
    literals = [plain[start : start + 60] for start in range(0, len(plain), 60)]
    return varint(len(plain)) + b"".join(bytes([(len(each) - 1) << 2]) + each for each in literals)


@pytest.fixture
def server() -> Iterator[Prometheus]:
    """A Prometheus with one native histogram, ``native``, and itself as ``up``."""
    with required(Prometheus(arguments=ARGUMENTS)) as server:
        request = urllib.request.Request(
            f"{server.url}/api/v1/write",
            data=remote_write("native", round(time.time() * 1000)),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
        )
        urllib.request.urlopen(request).close()
        server.wait_until("native")
        server.wait_until_up(1)
        yield server


async def test_a_native_histogram_is_not_a_number_in_a_batch_either(open_agent: Any, server: Prometheus) -> None:
    """Contract section 3: ``not_a_number``; a batch has the outcomes of individual queries."""
    async with open_agent(url=server.url) as agent:
        native, moved, up = await agent.run_together("native", "native + 1", "up", time_=time.time(), threshold="80")
    assert (native.status, native.reason) == (ItemStatus.WARNING, Reason.NOT_A_NUMBER)
    assert native.value == "histogram(count=10, sum=3.5)"
    assert moved.reason == Reason.NOT_A_NUMBER
    assert (up.status, up.value) == (ItemStatus.NORMAL, "1")
