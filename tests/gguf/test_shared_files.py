"""Real files open, vocabulary-only ones included."""

from __future__ import annotations

import pytest

from oxillama.gguf import GGUFFile
from tests.support.shared import shared

VOCABULARIES = {
    "bert-bge": 30522,
    "command-r": 256000,
    "deepseek-llm": 102400,
    "falcon": 65024,
    "gpt-2": 50257,
    "llama-bpe": 128256,
    "llama-spm": 32000,
    "phi-3": 32064,
    "qwen2": 151936,
    "starcoder": 49152,
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_vocabulary_without_tensors_opens(name: str) -> None:
    file = GGUFFile(shared(f"tokenizers/ggml-vocab-{name}.gguf"))

    tokens = file.require_strs("tokenizer.ggml.tokens")

    assert len(tokens) == VOCABULARIES[name]
    assert all(isinstance(token, str) for token in tokens)
    assert len(file.require_array("tokenizer.ggml.token_type", kind="integer")) == len(tokens)
    assert file.tensors == {}


def test_the_trained_model_opens() -> None:
    file = GGUFFile(shared("models/stories260K.gguf"))

    assert file.require_str("general.architecture") == "llama"
    assert file.require_int("llama.block_count") == 5
    assert len(file.tensors) == 48
    info = file.tensors["token_embd.weight"]
    assert (info.type_name, info.shape, info.n_bytes) == ("F32", (64, 512), 64 * 512 * 4)
    assert file.raw("token_embd.weight").view("<f4").std() > 0.01
