"""DRY's breakers and biases of texts, from a request to the sampler."""

from __future__ import annotations

import random
from typing import Any

import pytest

from oxillama.engine.api.sampling import SamplerSettings
from oxillama.engine.decoding.breakers import Breakers
from oxillama.engine.decoding.sampling import seen_by
from oxillama.engine.decoding.vocabulary import Vocabulary
from tests.engine.harness import Bench, request
from tests.support.fake_engine import FakeTokenizer
from tests.support.fake_runner import FakeRunner

FIRST = 3  # the token of byte 0


def ids(text: str) -> tuple[int, ...]:
    return tuple(FIRST + byte for byte in text.encode())


class Pieces(FakeTokenizer):
    """Tokens of one or several letters."""

    pieces = ("a", "b", "c", "ab", "bc", "xabc", "é")

    def token_bytes(self, token_id: int) -> bytes:
        return self.pieces[token_id].encode() if token_id < len(self.pieces) else b""


@pytest.mark.parametrize("breakers", [("abc", "c", "bb", "é"), ("b", "c"), ()])
def test_a_breaker_is_found_however_its_tokens_are_cut(breakers: tuple[str, ...]) -> None:
    vocabulary, rng = Vocabulary(Pieces(), 259), random.Random(1)
    for _ in range(200):
        found, text = Breakers(breakers, vocabulary), ""
        for _ in range(8):
            token = rng.randrange(3, 8)
            piece = Pieces.pieces[token] if token < len(Pieces.pieces) else ""
            wanted = any((text + piece).find(one, max(0, len(text) - len(one) + 1)) >= 0 for one in breakers)
            assert found.completed_by(token) is wanted
            text += piece


def test_a_control_token_can_be_a_breaker() -> None:
    assert Breakers(("</s>",), Vocabulary(FakeTokenizer(), 259)).completed_by(2)


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ({}, 0),
        ({"repeat_penalty": 1.1, "repeat_last_n": 3}, 3),
        ({"dry_multiplier": 1.0, "dry_penalty_last_n": 5}, 5),
        ({"dry_multiplier": 1.0, "dry_penalty_last_n": 5, "presence_penalty": 1.0, "repeat_last_n": 7}, 7),
        ({"dry_multiplier": 1.0, "dry_penalty_last_n": -1, "presence_penalty": 1.0, "repeat_last_n": 7}, 20),
        ({"dry_multiplier": 1.0, "dry_penalty_last_n": 0}, 0),
    ],
)
def test_as_much_of_a_prompt_is_read_as_the_widest_window_sees(settings: dict[str, Any], n: int) -> None:
    assert seen_by(SamplerSettings(**settings), tuple(range(20))) == tuple(range(20))[20 - n :]


def text_of(prompt: str, **sampling: Any) -> str:
    """A model that repeats what came 4 tokens before."""
    bench = Bench(FakeRunner(next_token=lambda tokens, n: tokens[-4] if len(tokens) > 4 else 40))
    [g] = bench.run(request((1, *ids(prompt)), max_tokens=8, **sampling))
    return bench.text(g)


def test_dry_ends_a_repetition_and_a_breaker_lets_it_be() -> None:
    dry: dict[str, Any] = {"dry_multiplier": 100.0, "dry_sequence_breakers": ("\n",)}
    assert text_of("abcdabcd") == "abcdabcd"
    assert not text_of("abcdabcd", **dry).startswith("a")
    assert text_of("abc\nabc\n", **dry).startswith("ab")
    assert not text_of("abc\nabc\n", **dry | {"dry_sequence_breakers": ("\r",)}).startswith("a")


def test_a_texts_bias_is_that_of_each_of_its_tokens() -> None:
    vocabulary = Vocabulary(FakeTokenizer(), 259)
    assert vocabulary.token_biases({"aba": 2.0, ids("b")[0]: 1.0, 7: -1.0}) == {
        ids("a")[0]: 2.0, ids("b")[0]: 3.0, 7: -1.0,
    }  # fmt: skip
    bench = Bench(FakeRunner())
    [g] = bench.run(request(max_tokens=4, logit_bias={"zz": 100.0}))
    assert bench.text(g) == "zzzz"
