"""A text that must stay hidden."""

from __future__ import annotations

import hmac

from attrs import field, frozen


@frozen(eq=False)
class Secret:
    """A secret text that no log, repr, error or JSON response shows.

    Only :meth:`reveal` returns the text. Call it at the last moment, where the text is sent.
    """

    _text: str = field(repr=False)

    MASK = "******"

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def matches(self, candidate: str) -> bool:
        """Compare ``candidate`` with this secret in a time that does not depend on where they differ."""
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), candidate.encode("utf-8", "surrogatepass")
        )

    def __bool__(self) -> bool:
        return bool(self._text)

    def __str__(self) -> str:
        return self.MASK

    def __repr__(self) -> str:
        return f"Secret({self.MASK})"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        raise TypeError("a Secret cannot be pickled: reveal() it where it is needed")
