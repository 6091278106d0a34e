"""Checks of a plugin's message catalogue, for the tests of each plugin that has one."""

from __future__ import annotations

import gettext
import re
from pathlib import Path
from types import ModuleType

from candy_core import Locale


class Sentences:
    """The message constants of a package's module ``texts``, and their catalogue."""

    def __init__(self, texts: ModuleType) -> None:
        package = texts.__name__.partition(".")[0]
        self._texts = texts
        self._catalogue = Path(str(texts.__file__)).parent / "locales/zh_CN/LC_MESSAGES" / package
        self._by_name = {name: text for name, text in vars(texts).items() if name.isupper() and isinstance(text, str)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the constants."""
        return tuple(self._by_name)

    def check(self, name: str) -> None:
        """Assert that a message is translated, and that both languages have the same placeholders."""
        english = self._by_name[name]
        names = re.findall(r"{(\w+)}", english)
        values = {each: f"<{each}>" for each in names}
        chinese = self._texts.sentence(Locale.ZH_CN, english, **values)
        assert chinese != self._texts.sentence(Locale.EN, english, **values)
        assert sorted(re.findall(r"<(\w+)>", chinese)) == sorted(names)

    def written(self) -> dict[str, str]:
        """The entries of the ``.po`` file."""
        source = self._catalogue.with_suffix(".po").read_text()
        return dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', source, re.MULTILINE))

    def compiled(self) -> dict[str, str]:
        """The entry of the ``.mo`` file for each message."""
        with self._catalogue.with_suffix(".mo").open("rb") as stream:
            compiled = gettext.GNUTranslations(stream)
        return {english: compiled.gettext(english) for english in self._by_name.values()}
