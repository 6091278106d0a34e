"""Strings that may be written as numbers."""

from __future__ import annotations


class Scalar(str):
    """A string that may be a number in YAML or JSON: ``expr: 1`` is the expression ``1``, ``interval: 0`` is ``0``."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Scalar:
        """Accepts any text; the code that uses it checks it."""
        return cls(text)
