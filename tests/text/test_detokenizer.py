"""Streaming gives only whole characters, and together the whole text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.errors import InvalidParameterError
from oxillama.text import StreamDetokenizer, Tokenizer
from tests.text.vocabularies import bpe_metadata, spm_metadata

BYTES = Tokenizer(spm_metadata({"▁Once": -1.0, "▁": -2.0}))
FIRST_BYTE = 3


def streamed(tokenizer: Tokenizer, ids: list[int]) -> str:
    stream = StreamDetokenizer(tokenizer)
    return "".join(map(stream.push, ids)) + stream.flush()


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_as_if_all_at_once(data: bytes) -> None:
    assert streamed(BYTES, [FIRST_BYTE + b for b in data]) == data.decode("utf-8", "replace")


@given(st.text(max_size=20))
def test_no_piece_has_half_a_character(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    stream = StreamDetokenizer(BYTES)
    pieces = [stream.push(FIRST_BYTE + b) for b in text.encode()]
    assert "".join(pieces) == text
    assert stream.flush() == ""


def test_bytes_that_cannot_become_a_character_are_not_held_back() -> None:
    stream = StreamDetokenizer(BYTES)
    assert stream.push(FIRST_BYTE + 0xE2) == ""
    assert stream.push(FIRST_BYTE + ord("a")) == "�a"
    assert stream.push(FIRST_BYTE + 0xFF) == "�"


def test_the_first_token_of_a_continuation_keeps_its_space() -> None:
    once = BYTES.find("▁Once")
    assert once is not None
    assert streamed(BYTES, [once]) == " Once"
    assert BYTES.decode([once]) == b"Once"


def test_control_tokens_have_no_text() -> None:
    tokenizer = Tokenizer(bpe_metadata(control=("<|im_end|>",)))
    end = tokenizer.find("<|im_end|>")
    assert end is not None
    assert streamed(tokenizer, [*tokenizer.encode("a"), end, *tokenizer.encode("b")]) == "ab"


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    for wrong in (-1, BYTES.n_vocab, 2**40, random.Random(0).getrandbits(80)):
        with pytest.raises(InvalidParameterError, match="outside the vocabulary"):
            StreamDetokenizer(BYTES).push(wrong)
        with pytest.raises(InvalidParameterError, match="outside the vocabulary"):
            BYTES.decode([wrong])
