"""Real vocabularies give the ids that the models' own tokenizers give."""

from __future__ import annotations

import pytest

from tests.text.vocabularies import REAL, expected, real


@pytest.mark.parametrize("name", REAL)
def test_every_published_text_gets_its_published_ids(name: str) -> None:
    tokenizer = real(name)
    got = [(text, tokenizer.encode(text, add_special=False)) for text, _ in expected(name)]
    assert got == expected(name)


@pytest.mark.parametrize("name", [name for name in REAL if name != "bert-bge"])
def test_decoding_gives_every_published_text_back(name: str) -> None:
    tokenizer = real(name)
    for text, ids in expected(name):
        assert tokenizer.decode(ids) == text.encode()
        assert tokenizer.decode(tokenizer.encode(text)) == text.encode()
