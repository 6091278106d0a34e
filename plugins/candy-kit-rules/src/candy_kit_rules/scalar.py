"""Texts that may be written as numbers."""

from __future__ import annotations


class Scalar(str):
    """A text that YAML or JSON may hold as a number: ``expr: 1`` is the expression ``1``, ``interval: 0`` is ``0``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Scalar:
        """Any text will do: what is wrong with it is found by whoever knows what it is for."""
        return cls(text)
