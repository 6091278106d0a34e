"""Which documents have generated blocks, and how they are made anew."""

from __future__ import annotations

from candy_docs import blocks, picture, settings

DOCS = picture.ROOT / "docs"
CONFIGURATION = ("configuration.md", "configuration.zh.md")


def fresh(text: str) -> str:
    """A document with its generated blocks made anew. Raises ``KeyError`` for a block of an unknown name."""
    tables = settings.sections()

    def make(name: str, present: str) -> str:
        kind, _, what = name.partition(":")
        return settings.table(tables[what], present) if kind == "settings" else {"picture": picture.picture}[kind]()

    return blocks.rewritten(text, make)
