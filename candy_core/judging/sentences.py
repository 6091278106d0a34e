"""Sentences in the languages of :class:`~candy_core.model.task.Locale`, from gettext catalogues.

The msgid of a sentence is the English sentence with named placeholders: ``"Timed out after {seconds} s"``. The
catalogue of a language is ``<folder>/<locale>/LC_MESSAGES/<domain>.mo``. It is compiled from the ``.po`` beside it, and
both are committed::

    pybabel compile --domain candy --directory candy_core/judging/locales
"""

from __future__ import annotations

import gettext
from collections.abc import Callable
from pathlib import Path

from candy_core.model.task import Locale


class Catalogue:
    """The sentences of one domain. The files are read when the object is created, so create it at import time.

    If a language has no catalogue, or a catalogue lacks a sentence, the sentence is English. Raises
    ``FileNotFoundError`` if there is no catalogue at all, since it is missing from the package.
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
        """The sentence in that language with its placeholders replaced, but not those in values.

        Raises ``KeyError`` if a placeholder has no value.
        """
        return self._translate[locale](msgid).format_map(values)


sentence = Catalogue("candy", Path(__file__).parent / "locales").sentence
"""A sentence of the core's own catalogue: ``sentence(locale, msgid, **values)``."""
