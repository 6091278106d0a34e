"""Output: bounded, decoded leniently, and truncation is reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candy_kit_command import Capture, Captured


def capture(*pieces: bytes, limit: int = 100, search: str | None = None) -> Captured:
    taken = Capture(limit, search=search)
    for piece in pieces:
        taken.feed(piece)
    return taken.finish()


@given(st.lists(st.binary(max_size=50)), st.integers(0, 100))
def test_kept_and_cut_bytes_add_up_to_the_whole_stream(pieces: list[bytes], limit: int) -> None:
    whole = b"".join(pieces)
    captured = capture(*pieces, limit=limit)
    assert len(captured.text) <= max(limit, 0) * 6  # a hidden character becomes \uXXXX at most
    assert captured.cut >= max(0, len(whole) - limit)
    assert captured.cut <= max(0, len(whole) - limit) + (3 if len(whole) > limit else 0)


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.sampled_from("\n\t"), max_size=80))
def test_printable_text_is_unchanged(text: str) -> None:
    assert capture(text.encode(), limit=1000).text == text


@given(st.text(min_size=1, max_size=30), st.integers(0, 120))
def test_a_character_is_not_cut_in_two(text: str, limit: int) -> None:
    data = text.encode("utf-8", "replace")
    captured = capture(data, limit=limit)
    assert "\ufffd" not in captured.text or "\ufffd" in text


def test_binary_output_becomes_text_without_terminal_control() -> None:
    captured = capture(b"\x00\x1b[2J\x7f\xff\xc3\x28 \xe2\x80\xae\r\nend\n")
    assert captured.text == "␀␛[2J␡��( \\u202e\nend\n"
    assert captured.cut == 0
    assert capture(bytes(200), limit=100) == Captured("␀" * 100, 100, None, 100)


def test_memory_does_not_grow_with_the_stream() -> None:
    taken = Capture(10, search="needle")
    for _ in range(1000):
        taken.feed(b"x" * 65_536)
    assert taken.finish() == Captured("x" * 10, 1000 * 65_536 - 10, False, 10)


@pytest.mark.parametrize("sizes", [1, 2, 3, 7, 1000])
def test_a_text_is_found_beyond_the_limit_and_across_pieces(sizes: int) -> None:
    data = b"." * 500 + "磁盘故障".encode() + b"." * 500
    pieces = [data[start : start + sizes] for start in range(0, len(data), sizes)]
    assert capture(*pieces, limit=10, search="磁盘故障").found is True
    assert capture(*pieces, limit=10, search="磁盘正常").found is False
    assert capture(*pieces, limit=10).found is None
