"""Which vocabularies can fill in the middle, and with which tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.text import Tokenizer
from oxillama.text.tokenizers.fim import FimTokens, fim_tokens
from tests.text.vocabularies import real, spm_metadata

PSM = {
    "Qwen2.5-Coder": ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    "StarCoder, Granite": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "SantaCoder": ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    "DeepSeek-Coder": ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    "CodeLlama": ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    "GLM": ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
}
OTHERS = ("<|file_sep|>", "<|repo_name|>", "<|fim_pad|>", "▁<EOT>", "<|file_separator|>", "<file_sep>")


def tokenizer_with(*control: str, **keys: Any) -> Tokenizer:
    """A SentencePiece vocabulary with these control tokens at its end."""
    metadata = spm_metadata({"▁": -1.0, "a": -2.0, "b": -2.0})
    tokens = [*metadata["tokenizer.ggml.tokens"], *control]
    more = np.zeros(len(control))
    metadata["tokenizer.ggml.tokens"] = tokens
    metadata["tokenizer.ggml.scores"] = np.append(metadata["tokenizer.ggml.scores"], more).astype(np.float32)
    metadata["tokenizer.ggml.token_type"] = np.append(metadata["tokenizer.ggml.token_type"], more + 3).astype(np.int32)
    metadata |= {f"tokenizer.ggml.{key}": tokens.index(text) for key, text in keys.items()}
    return Tokenizer(metadata)


@pytest.mark.parametrize("texts", PSM.values(), ids=PSM.keys())
def test_tokens_are_found_by_their_texts(texts: tuple[str, str, str]) -> None:
    tokenizer = tokenizer_with(*texts)
    fim = tokenizer.fim
    assert fim is not None
    assert [fim.prefix, fim.suffix, fim.middle] == [tokenizer.find(text) for text in texts]
    assert not fim.suffix_first
    assert fim.ends == {fim.prefix, fim.suffix, fim.middle}


def test_keys_of_the_file_go_before_texts() -> None:
    keys = {"fim_pre_token_id": "P", "fim_suf_token_id": "S", "fim_mid_token_id": "M"}
    tokenizer = tokenizer_with("P", "S", "M", *PSM["GLM"], **keys)
    assert tokenizer.fim is not None
    assert [tokenizer.fim.prefix, tokenizer.fim.suffix, tokenizer.fim.middle] == [tokenizer.find(t) for t in "PSM"]
    old = tokenizer_with("P", "S", "M", prefix_token_id="P", suffix_token_id="S", middle_token_id="M")
    assert old.fim is not None
    assert old.fim.middle == old.find("M")


def test_codestral_reads_the_suffix_first_and_has_no_middle() -> None:
    tokenizer = tokenizer_with("[PREFIX]", "[MIDDLE]", "[SUFFIX]")
    assert tokenizer.fim == FimTokens(
        tokenizer.find("[PREFIX]") or 0, tokenizer.find("[SUFFIX]") or 0, None, suffix_first=True,
        ends=frozenset({tokenizer.find("[PREFIX]") or 0, tokenizer.find("[SUFFIX]") or 0}),
    )  # fmt: skip


def test_seed_coder_reads_the_suffix_first() -> None:
    fim = tokenizer_with("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>").fim
    assert fim is not None
    assert fim.suffix_first
    assert fim.middle is not None


def test_pads_and_names_of_files_end_a_middle() -> None:
    tokenizer = tokenizer_with(*PSM["Qwen2.5-Coder"], *OTHERS)
    assert tokenizer.fim is not None
    assert {tokenizer.find(text) for text in (*PSM["Qwen2.5-Coder"], *OTHERS)} == tokenizer.fim.ends
    assert tokenizer.fim.repository == tokenizer.find("<|repo_name|>")
    assert tokenizer.fim.separator == tokenizer.find("<|file_sep|>")


def test_without_all_of_them_a_vocabulary_cannot_fill_in() -> None:
    assert fim_tokens({"fim_pre": 1, "fim_suf": 2}, {}) is None
    assert tokenizer_with("[PREFIX]", "<fim_prefix>", "<fim_suffix>").fim is None
    assert real("llama-spm").fim is None


def test_a_published_vocabulary_has_such_tokens() -> None:
    fim = real("starcoder").fim
    assert fim is not None
    assert real("starcoder").token_text(fim.middle or 0) == "<fim_middle>"
