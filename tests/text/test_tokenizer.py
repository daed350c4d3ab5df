"""Special tokens, unusual texts, and the tokens at the ends of a text."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.errors import InvalidParameterError, ModelUnsupportedError
from oxillama.text import Tokenizer
from oxillama.text.tokenizers.algorithms import pipeline
from oxillama.text.tokenizers.algorithms.pretokenizers import BY_NAME
from tests.text.vocabularies import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, bpe_metadata, real, spm_metadata

SPM = Tokenizer(spm_metadata({"▁": -1.0, "a": -2.0, "b": -3.0, "▁a": -4.0, "ab": -5.0, "▁ab": -6.0}))
BPE = Tokenizer(bpe_metadata(("a b", "Ġ a", "ab ab"), ("<|end|>", "<|eom_id|>"), bos_token_id=0))


def texts(tokenizer: Tokenizer, text: str, **how: bool) -> list[str]:
    return [tokenizer.token_text(i) for i in tokenizer.encode(text, add_special=False, **how)]


def test_the_best_score_merges_first_and_among_equals_the_leftmost() -> None:
    scored = Tokenizer(spm_metadata({"a": -1.0, "b": -1.0, "c": -1.0, "ab": -5.0, "bc": -4.0}, add_space_prefix=False))
    assert texts(scored, "abc") == ["a", "bc"]
    tied = Tokenizer(spm_metadata({"a": -1.0, "aa": -2.0}, add_space_prefix=False))
    assert texts(tied, "aaa") == ["aa", "a"]


def test_characters_without_a_token_become_byte_tokens() -> None:
    assert texts(SPM, "é") == ["▁", "<0xC3>", "<0xA9>"]


def test_a_space_is_added_in_front_unless_the_file_disables_it() -> None:
    assert texts(SPM, "a") == ["▁a"]
    assert texts(Tokenizer(spm_metadata({"▁": -1.0, "a": -2.0}, add_space_prefix=False)), "a") == ["a"]


def test_the_space_in_front_is_added_again_after_a_special_token() -> None:
    assert texts(SPM, "a</s>a", parse_special=True) == ["▁a", "</s>", "▁a"]


@pytest.mark.parametrize("text", ["", " ", "  a", "ab ab", "日本 é\n", "a\0b"])
@pytest.mark.parametrize("tokenizer", [SPM, BPE], ids=["spm", "bpe"])
def test_decoding_gives_the_text_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode()


@given(st.text(st.characters(), max_size=30))
def test_any_text_can_be_encoded_and_decoded(text: str) -> None:
    valid = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    for tokenizer in (SPM, BPE):
        for parse_special in (False, True):
            ids = tokenizer.encode(text, parse_special=parse_special)
            assert tokenizer.decode(ids, special=parse_special).removeprefix(b"<s>").removeprefix(b"!") in (
                valid.encode(),
                valid.encode().removeprefix(b"!"),
            )


def test_lone_surrogates_count_as_the_replacement_character() -> None:
    assert BPE.encode("a\ud800b") == BPE.encode("a�b")
    assert BPE.encode("\ud83d\ude00") == BPE.encode("😀")


def test_control_tokens_are_found_only_on_request() -> None:
    end = BPE.find("<|end|>")
    assert BPE.encode("a<|end|>", add_special=False, parse_special=True)[-1] == end
    assert end not in BPE.encode("a<|end|>", add_special=False)
    assert BPE.decode(BPE.encode("a<|end|>", parse_special=True), special=True).endswith(b"a<|end|>")


def test_user_defined_tokens_are_always_found() -> None:
    metadata = bpe_metadata(control=("<tool>",))
    metadata["tokenizer.ggml.token_type"][-1] = USER_DEFINED
    assert texts(Tokenizer(metadata), "a<tool>b") == ["a", "<tool>", "b"]


def test_the_ends_of_a_text_follow_the_file() -> None:
    both = Tokenizer(
        bpe_metadata(control=("<s>",), bos_token_id=1, eos_token_id=2, add_bos_token=True, add_eos_token=True)
    )
    assert both.encode("") == [1, 2]
    assert both.encode("", add_special=False) == []
    assert SPM.encode("a")[0] == SPM.bos_id == 1
    assert BPE.encode("ab", add_special=True) == BPE.encode("ab", add_special=False)


def test_a_bos_in_the_text_is_not_added_again() -> None:
    plain = SPM.encode("a", add_special=False)
    assert SPM.encode("<s>a", parse_special=True) == SPM.encode("a") == [1, *plain]
    assert SPM.encode("<s><s>a", parse_special=True) == [1, 1, *plain]
    assert SPM.encode("<s>a").count(1) == 1


def test_every_token_that_ends_a_generation_is_known_by_key_or_by_text() -> None:
    tokenizer = Tokenizer(
        bpe_metadata(
            control=("<|im_end|>", "<|file_sep|>", "<stop>", "<turn>", "plain"), eos_token_id=258, eot_token_id=259
        )
    )
    names = {tokenizer.token_text(i) for i in tokenizer.eog_ids}
    assert names == {"<|im_end|>", "<|file_sep|>", "<stop>", "<turn>"}


def test_in_the_harmony_format_the_end_of_a_message_is_not_the_end_of_the_answer() -> None:
    tokenizer = Tokenizer(bpe_metadata(control=("<|end|>", "<|return|>", "<|call|>", "<|channel|>")))
    assert {tokenizer.token_text(i) for i in tokenizer.eog_ids} == {"<|return|>", "<|call|>"}
    channel = tokenizer.find("<|channel|>")
    assert channel is not None
    assert tokenizer.token_bytes(channel) == b"<|channel|>"


def test_a_well_known_end_token_is_a_control_token_whatever_its_type_in_the_file() -> None:
    metadata = bpe_metadata(control=("<|im_end|>",))
    metadata["tokenizer.ggml.token_type"][-1] = NORMAL
    tokenizer = Tokenizer(metadata)
    end = tokenizer.find("<|im_end|>")
    assert end is not None
    assert tokenizer.is_control(end)
    assert texts(tokenizer, "<|im_end|>", parse_special=True) == ["<|im_end|>"]


def test_whitespace_after_a_special_token_is_removed_for_models_that_require_it() -> None:
    metadata = spm_metadata({"▁": -1.0, "a": -2.0, "▁a": -3.0, "<|user|>": 0.0})
    metadata["general.name"] = "Phi-3 mini"
    metadata["tokenizer.ggml.token_type"][-1] = CONTROL
    assert texts(Tokenizer(metadata), "<|user|> \na", parse_special=True) == ["<|user|>", "▁a"]


def test_an_unknown_pre_tokenizer_is_the_default_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        unknown = [Tokenizer(bpe_metadata(("1 2",), pre="not-known-to-anyone")) for _ in range(3)]
    assert [record.getMessage()[:50] for record in caplog.records] == [
        "tokenizer.ggml.pre 'not-known-to-anyone' is unknow"
    ]
    default = Tokenizer(bpe_metadata(("1 2",), pre="default"))
    assert unknown[0].encode("12 1234") == default.encode("12 1234")


@pytest.mark.parametrize("pre", BY_NAME)
def test_long_texts_split_into_parts_give_the_same_ids(pre: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Don't WON'T naïve Ünïcode 日本語 12345678 a1\n\n  x= y;\t\r\n 'quoted'  end 99 bottles\n" * 3
    tokenizer = Tokenizer(bpe_metadata(("Ġ a", "Ċ Ċ", "1 2", "Ġ Ġ", "t ĠW"), pre=pre))
    whole = tokenizer.encode(text)
    monkeypatch.setattr(pipeline, "PART", 1)
    assert tokenizer.encode(text) == whole
    assert not BY_NAME[pre].byte_level or tokenizer.decode(whole) == text.encode()


@pytest.mark.parametrize("text", ["a" * 500_000, " " * 500_000 + "x", "\n" * 500_000, "<|" * 250_000, "9" * 500_000])
def test_a_long_monotonous_text_is_encoded(text: str) -> None:
    for tokenizer in (SPM, BPE):
        assert len(tokenizer.encode(text)) >= 100_000 // 2


def test_word_pieces_begin_or_continue_words() -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁un", "aff", "able", "▁a", "▁,"]
    tokenizer = Tokenizer(
        {
            "tokenizer.ggml.model": "bert",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": np.array([CONTROL, UNKNOWN, CONTROL, CONTROL, *[NORMAL] * 5], np.int32),
            "tokenizer.ggml.cls_token_id": 2,
            "tokenizer.ggml.seperator_token_id": 3,
            "tokenizer.ggml.unknown_token_id": 1,
        }
    )
    ids = tokenizer.encode("Unaffable, xyz Á")
    assert [tokens[i] for i in ids] == ["[CLS]", "▁un", "aff", "able", "▁,", "[UNK]", "▁a", "[SEP]"]
    assert tokenizer.decode(ids) == b"unaffable , a"


def test_the_most_likely_segmentation_wins_in_a_unigram_vocabulary() -> None:
    tokens = ["<pad>", "</s>", "<unk>", "▁a", "b", "▁ab", "ab", "▁"]
    tokenizer = Tokenizer(
        {
            "tokenizer.ggml.model": "t5",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": np.array([CONTROL, CONTROL, UNKNOWN, *[NORMAL] * 5], np.int32),
            "tokenizer.ggml.scores": np.array([0, 0, 0, -1, -1, -9, -1.5, -2], np.float32),
            "tokenizer.ggml.add_space_prefix": True,
            "tokenizer.ggml.remove_extra_whitespaces": True,
        }
    )
    assert [tokens[i] for i in tokenizer.encode("  ab   ab  ")] == ["▁a", "b", "▁a", "b", "</s>"]
    assert tokenizer.decode(tokenizer.encode("ab ab")) == b"ab ab"


def test_the_longest_token_wins_in_an_rwkv_vocabulary() -> None:
    tokens = ["<s>", "a", "ab", "\\xe3\\x81", "\\x82", "\\n"]
    tokenizer = Tokenizer({"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": tokens})
    assert tokenizer.encode("abaあ\n") == [2, 1, 3, 4, 5]
    assert tokenizer.decode([2, 1, 3, 4, 5]) == "abaあ\n".encode()


def test_an_unknown_kind_of_vocabulary_is_unsupported() -> None:
    with pytest.raises(ModelUnsupportedError, match=r"tokenizer\.ggml\.model 'martian'"):
        Tokenizer({"tokenizer.ggml.model": "martian", "tokenizer.ggml.tokens": ["a"]})


@pytest.mark.parametrize("wrong", [-1, 10**6, 2**70, 1.5, None, "a"])
def test_an_id_outside_the_vocabulary_is_refused(wrong: Any) -> None:
    for ask in (SPM.token_bytes, SPM.token_text, SPM.is_control, lambda i: SPM.decode([i])):
        with pytest.raises(InvalidParameterError, match="outside the vocabulary of 265 tokens"):
            ask(wrong)


@pytest.mark.parametrize("name", ["qwen2", "command-r"])
@pytest.mark.parametrize(
    ("decomposed", "composed"),
    [("cafe\u0301 nai\u0308ve", "café naïve"), ("\u1112\u1161\u11ab", "한"), ("\u212b", "Å")],
)
def test_texts_are_normalised_if_the_published_tokenizer_does_so(name: str, decomposed: str, composed: str) -> None:
    tokenizer = real(name)
    assert tokenizer.encode(decomposed) == tokenizer.encode(composed)
    assert tokenizer.decode(tokenizer.encode(decomposed)).decode().removeprefix(" ") == composed


@pytest.mark.parametrize("name", ["gpt-2", "llama-bpe", "starcoder", "llama-spm"])
def test_other_texts_stay_unchanged(name: str) -> None:
    tokenizer = real(name)
    assert tokenizer.encode("e\u0301") != tokenizer.encode("é")
    assert tokenizer.decode(tokenizer.encode("e\u0301", add_special=False)).decode() == "e\u0301"
