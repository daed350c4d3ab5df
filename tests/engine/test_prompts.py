"""The tokens of a prompt: its special tokens, and those of an empty text."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.engine.requests.prompts import MOST_USUAL_CHARACTERS, prompt_ids, text_ids
from oxillama.text import PromptText, Tokenizer
from oxillama.text.prompt_text import prompt_text
from tests.support.fake_engine import BOS, FIRST_BYTE, FakeEngine
from tests.text.vocabularies import bpe_metadata, spm_metadata

SPM = Tokenizer(spm_metadata({"▁a": 0.0, "a": 0.0}))


def test_the_token_that_begins_a_text_is_there_once() -> None:
    a = tuple(SPM.encode("a", add_special=False))
    assert text_ids(SPM, "a") == text_ids(SPM, "<s>a") == (1, *a)
    assert text_ids(SPM, "</s>a") == (1, 2, *a)


def test_the_token_that_ends_a_text_is_not_at_the_end() -> None:
    ends = Tokenizer(spm_metadata({"▁a": 0.0}, add_eos_token=True))
    assert ends.encode("a")[-1] == 2
    assert text_ids(ends, "a")[-1] != 2
    assert text_ids(ends, "a</s>")[-1] == 2


def test_a_model_without_a_bos_gets_none() -> None:
    plain = Tokenizer(bpe_metadata(control=("<s>",), bos_token_id=256, add_bos_token=False))
    assert 256 not in text_ids(plain, "a")
    assert text_ids(plain, "<s>a")[0] == 256


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ({"bos_token_id": 256, "eos_token_id": 257}, (256,)),
        ({"eos_token_id": 257}, (257,)),
        ({"eot_token_id": 258}, (258,)),
        ({}, ()),
    ],
)
def test_an_empty_text_becomes_bos_or_else_the_end_token(keys: dict[str, Any], ids: tuple[int, ...]) -> None:
    tokenizer = Tokenizer(bpe_metadata(control=("<a>", "<b>", "<c>"), **keys))
    assert text_ids(tokenizer, "") == ids


async def test_only_the_beginning_of_a_far_too_long_text_is_tokenized() -> None:
    engine = FakeEngine(n_ctx=10)
    far = "x" * 100_000
    for text in (far, PromptText.of_content(far)):
        assert len(await prompt_ids(engine, text)) == MOST_USUAL_CHARACTERS * 10 + 1
    assert await prompt_ids(engine, "x" * 11) == (BOS, *[FIRST_BYTE + ord("x")] * 11)


async def test_a_long_text_of_few_tokens_is_read_whole() -> None:
    class Sparse(FakeEngine):
        async def encode(self, text: str | PromptText, **_: bool) -> list[int]:
            return [9] * (len(text) // 100)

    assert len(await prompt_ids(Sparse(n_ctx=10), "x" * 900)) == 1 + 9


def test_a_prefix_keeps_its_spans() -> None:
    text = prompt_text("ab", PromptText.of_content("cd"), "ef", PromptText.of_content("gh"))
    assert text == PromptText("abcdefgh", ((2, 4), (6, 8)))
    assert [text.beginning(n).content for n in (1, 2, 3, 5, 7, 9)] == [
        (),
        (),
        ((2, 3),),
        ((2, 4),),
        ((2, 4), (6, 7)),
        ((2, 4), (6, 8)),
    ]
