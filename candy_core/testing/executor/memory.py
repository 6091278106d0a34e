"""Measures the growth of the process."""

from __future__ import annotations

import contextlib
import gc
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from attrs import define

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@define
class Growth:
    """The peak growth in bytes since the start."""

    peak: int = 0


@contextlib.contextmanager
def growth() -> Iterator[Growth]:
    """Measure what Python allocates, and the resident memory where the system lets its peak be reset.

    Neither alone is enough: C libraries allocate outside of Python, and a heap that was large before does not grow.
    """
    measured = Growth()
    gc.collect()
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    tracemalloc.reset_peak()
    allocated = tracemalloc.get_traced_memory()[0]
    resident = _resident("VmRSS") if _reset_peak() else None
    try:
        yield measured
    finally:
        measured.peak = tracemalloc.get_traced_memory()[1] - allocated
        if resident is not None:
            measured.peak = max(measured.peak, _resident("VmHWM") - resident)
        if started:
            tracemalloc.stop()


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:  # not allowed everywhere
        return False
    return True


def _resident(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
