"""``make docs``: writes the generated blocks of the documents anew."""

from __future__ import annotations

from candy_docs import settings
from candy_docs.documents import CONFIGURATION, DOCS, fresh


def main() -> None:
    """Rewrite every document that has generated blocks, and say which changed."""
    for document in (*CONFIGURATION, "architecture.md"):
        file = DOCS / document
        before = file.read_text("utf-8")
        after = fresh(before)
        if before != after:
            file.write_text(after, "utf-8")
            print(f"docs/{document}: written anew")
        if f"| {settings.MISSING} |" in after:
            print(f"docs/{document}: the meaning of a setting is still to be written ({settings.MISSING})")


if __name__ == "__main__":
    main()
