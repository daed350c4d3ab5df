"""The vocabulary, what of an earlier file begins a larger network, and the hints for copying, without PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.embedded import model_path
from oxillama.embedded.data.conversations import stream
from oxillama.embedded.learning import vocabulary
from oxillama.embedded.learning.copying import same_words, sources
from oxillama.embedded.learning.grow import grown
from oxillama.embedded.shape import Shape
from oxillama.gguf import GGUFFile


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [m["content"] for messages, _ in stream(1, 9, 600) for m in messages]
    return vocabulary.learn(texts, 700)


def test_a_vocabulary_has_its_size_and_its_tags(tokenizer: Any) -> None:
    assert 450 < tokenizer.get_vocab_size() <= 700  # fewer where few words are one token
    assert tokenizer.encode("<tool_call>").tokens == ["<tool_call>"]


@pytest.mark.parametrize("word", ["Zagreb", "velocity", "qenanc", "Reykjavik"])
def test_a_word_has_the_same_pieces_after_a_space_and_a_quote(tokenizer: Any, word: str) -> None:
    assert tokenizer.encode(f'"{word}').tokens[1:] == tokenizer.encode(word).tokens
    spaced = tokenizer.encode(f"a {word}").tokens[1:]
    assert [token.removeprefix("Ġ") for token in spaced if token != "Ġ"] == tokenizer.encode(word).tokens


def test_tokens_and_merges_of_a_file_spell_texts_as_the_tokenizer_does(tokenizer: Any) -> None:
    tokens, merges, types = vocabulary.tokens_and_merges(tokenizer, 1000)

    assert len(tokens) == len(types) == 1000
    assert [types[tokens.index(t)] for t in ("<|im_end|>", "<tool_call>", "a")] == [3, 4, 1]
    assert all(left + right in tokens for left, right in (merge.split(" ") for merge in merges))


def test_a_copy_comes_from_the_place_before_which_the_most_is_the_same() -> None:
    ids = np.array([5, 6, 7, 1, 5, 6, 7, 2, 6, 7])

    assert sources(ids, np.ones(9, bool)).tolist() == [0, 0, 0, 0, 1, 2, 0, 0, 6]
    assert sources(np.array([1, 2, 3, 9, 2, 4, 1, 2, 3]), np.ones(8, bool)).tolist() == [0, 0, 0, 0, 0, 0, 1, 2]
    assert sources(ids, np.arange(9) > 4).tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 6]


def test_a_word_counts_as_itself_with_and_without_a_space(tokenizer: Any) -> None:
    same = same_words(tokenizer, 1000)
    vocabulary_ = tokenizer.get_vocab()
    spaced = [text for text in vocabulary_ if text.startswith("Ġ") and text[1:] in vocabulary_]

    assert len(spaced) > 50
    assert all(same[vocabulary_[text]] == vocabulary_[text[1:]] for text in spaced)
    assert same[vocabulary_["a"]] == vocabulary_["a"]


def test_a_larger_network_begins_with_the_layers_and_the_rows_of_a_file(tokenizer: Any) -> None:
    gguf = GGUFFile(model_path())
    layers = int(gguf.get_int("llama.block_count", 0))
    shape = Shape(n_vocab=700, n_layer=layers + 2)

    weights = grown(model_path(), tokenizer, shape)

    kept = {int(name.split(".")[1]) for name in weights if name.startswith("blk.")}
    assert len(kept) == layers
    assert {min(kept), max(kept)} == {0, layers + 1}
    assert weights["token_embd.weight"].shape == (700, shape.n_embd)
    assert np.isfinite(weights["token_embd.weight"]).all()
    assert weights["blk.0.attn_k.weight"].shape == (shape.n_head_kv * shape.head_dim, shape.n_embd)
