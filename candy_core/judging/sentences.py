"""Sentences in the languages of :class:`~candy_core.model.task.Locale`, through gettext catalogues.

A sentence's msgid is itself in English, with named placeholders: ``"Timed out after {seconds} s"``. The catalogue of a
language is ``<folder>/<locale>/LC_MESSAGES/<domain>.mo``, compiled of the ``.po`` beside it and committed with it::

    pybabel compile --domain candy --directory candy_core/judging/locales
"""

from __future__ import annotations

import gettext
from collections.abc import Callable
from pathlib import Path

from candy_core.model.task import Locale


class Catalogue:
    """The sentences of one domain, read once, when it is made; so make it at import, where reading files is no harm.

    A language without a catalogue, and a sentence that a catalogue does not have, is English. Raises
    ``FileNotFoundError`` if there is no catalogue at all: it was forgotten in the package.
    """

    def __init__(self, domain: str, folder: Path) -> None:
        self._translate: dict[Locale, Callable[[str], str]] = {}
        found = False
        for locale in Locale:
            file = folder / locale.value / "LC_MESSAGES" / f"{domain}.mo"
            language = gettext.NullTranslations()
            if file.is_file():
                found = True
                with file.open("rb") as stream:
                    language = gettext.GNUTranslations(stream)
            self._translate[locale] = language.gettext
        if not found:
            raise FileNotFoundError(
                f"no catalogue <locale>/LC_MESSAGES/{domain}.mo in {folder}: compile the .po files and package the .mo"
            )

    def sentence(self, locale: Locale, msgid: str, /, **values: object) -> str:
        """The sentence in that language, its placeholders filled; what a value holds is never read as a placeholder.

        Raises ``KeyError`` if a placeholder has no value.
        """
        return self._translate[locale](msgid).format_map(values)


sentence = Catalogue("candy", Path(__file__).parent / "locales").sentence
"""A sentence of the core's own catalogue: ``sentence(locale, msgid, **values)``."""
