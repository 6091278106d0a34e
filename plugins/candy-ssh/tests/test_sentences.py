"""Every sentence in every language."""

from __future__ import annotations

import pytest

from candy_ssh import texts
from candy_testbed.sentences import Sentences

SENTENCES = Sentences(texts)


@pytest.mark.parametrize("name", SENTENCES.names)
def test_a_sentence_is_translated_with_the_same_placeholders(name: str) -> None:
    SENTENCES.check(name)


def test_the_compiled_catalogue_matches_its_source() -> None:
    assert SENTENCES.compiled() == SENTENCES.written()
