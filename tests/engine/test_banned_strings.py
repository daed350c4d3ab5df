"""A banned string never appears, however its tokens are cut, and no token is banned without need."""

from __future__ import annotations

import random
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from oxillama import EngineConfig, Model, SamplingParams
from oxillama.embedded import model_path
from oxillama.engine.decoding.banned import BannedStrings
from oxillama.engine.decoding.vocabulary import MOST_LISTS, Vocabulary
from oxillama.engine.engine import Engine
from oxillama.engine.loading import load_bundle
from oxillama.engine.token_texts import TokenTexts
from oxillama.errors import GenerationError, InvalidParameterError
from tests.engine.harness import Bench, request
from tests.support.fake_engine import FakeTokenizer
from tests.support.fake_runner import FakeRunner

# All pieces of up to 3 letters of a two-letter alphabet, some twice, an empty one, and parts of a character.
PIECES = [
    b"",
    *("".join(letters).encode() for n in (1, 2, 3) for letters in product("ab", repeat=n)),
    b"ab",
    b"\xc3",
    b"\xa9b",
    "aé".encode(),
]
LISTS = [("ab",), ("a",), ("aba", "bb"), ("abab", "ba", "baab"), ("aaaa",), ("éb",), ("é", "bé"), ("abb", "abb", "b")]


@pytest.mark.parametrize("strings", LISTS)
def test_exactly_the_tokens_that_complete_a_string_are_banned(strings: tuple[str, ...]) -> None:
    rng, banned = random.Random(1), BannedStrings(strings, TokenTexts(PIECES))
    wanted = [string.encode() for string in strings]
    for _ in range(60):
        text, state = b"", 0
        for _ in range(12):
            tokens = {i for i, piece in enumerate(PIECES) if any(s in text + piece for s in wanted)}
            assert set(banned.tokens(state).tolist()) == tokens, text
            if not (free := sorted(set(range(len(PIECES))) - tokens)):
                break
            assert {banned.after(state, PIECES[token]) for token in tokens} <= {None}
            piece = PIECES[rng.choice(free)]
            text += piece
            after = banned.after(state, piece)
            assert after is not None
            state = after


def test_strings_that_begin_alike_are_searched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = ["a" * 60 + chr(0x4E00 + i) for i in range(1000)]
    banned = BannedStrings(strings, TokenTexts([*PIECES, "a一".encode()]))
    searches: list[bytes] = []
    search = TokenTexts.beginning_with

    def counted(texts: TokenTexts, start: bytes, places: range) -> range:
        searches.append(start)
        return search(texts, start, places)

    monkeypatch.setattr(TokenTexts, "beginning_with", counted)
    state = banned.after(0, b"a" * 59)
    assert state is not None
    assert banned.tokens(state).tolist() == [len(PIECES)]
    assert len(searches) < 1000  # each string for itself, from every place where it may have begun, would be 59,000


def test_what_is_remembered_of_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxillama.engine.decoding.banned.MOST_BYTES", 2000)
    string = b"a" * 20 + b"b"
    banned = BannedStrings([string.decode()], TokenTexts(PIECES))
    for _ in range(2):
        for n in range(1, 21):
            text = b"a" * n
            state = banned.after(0, text)
            assert state is not None
            found = banned.tokens(state).tolist()
            assert set(found) == {i for i, piece in enumerate(PIECES) if string in text + piece}
            assert 0 < len(banned._known) < 8


def test_a_text_of_bytes_never_contains_a_banned_string() -> None:
    """With one token per byte, every string is completed by its last byte."""
    texts = []
    for seed in range(30):
        bench = Bench(FakeRunner(next_token=lambda tokens, n: 3 + ord("abé"[len(tokens) % 3]) % 256), n_ctx=64)
        [g] = bench.run(request(max_tokens=30, temperature=3.0, top_k=3, seed=seed, banned_strings=("ab", "\x00\x00")))
        texts.append(bench.text(g))
    assert not any("ab" in text or "\x00\x00" in text for text in texts)
    assert any("a" in text for text in texts)


@cache
def embedded() -> Model:
    return Model(model_path(), n_ctx=256, n_threads=2)


def said(*banned: str, seed: int = 1, **sampling: Any) -> str:
    params = SamplingParams(banned_strings=banned, seed=seed, max_tokens=60, temperature=1.0, **sampling)
    return "".join(embedded().generate("The capital of France is", params))


def test_a_real_vocabulary_is_searched_too() -> None:
    free = [said(seed=seed, ignore_eos=True) for seed in range(3)]
    banned = tuple({text[at : at + n] for text in free for at in (5, 20, 31, 44) for n in (1, 3, 8)} - {"e", " "})
    held = [said(*banned, seed=seed, ignore_eos=True) for seed in range(3)]
    assert not any(string in text for string in banned for text in held)
    assert all(len(text) > 60 for text in held)


def test_a_list_that_does_not_occur_changes_nothing() -> None:
    assert said("\x01\x02", "qqqqq") == said()


def test_stop_strings_and_early_ends_work_beside_it() -> None:
    text = said("a", "th", stop=("e",), min_tokens=30, ignore_eos=True)
    assert "a" not in text
    assert "th" not in text
    assert not text.endswith("e")


def test_if_every_token_is_banned_only_an_end_is_left() -> None:
    every = tuple(map(chr, range(128)))
    bench = Bench(FakeRunner(next_token=lambda tokens, n: 65), n_ctx=32)
    ended, stuck = bench.run(
        request(max_tokens=5, banned_strings=every, logit_bias=dict.fromkeys(range(131, 259), -1e4)),
        request(max_tokens=5, banned_strings=("A",), logit_bias=dict.fromkeys({*range(259)} - {3 + 65}, float("-inf"))),
    )
    assert bench.text(ended) == ""
    assert "no token is left to choose" in str(bench.errors[stuck])
    assert isinstance(bench.errors[stuck], GenerationError)


async def test_an_engine_searches_a_new_list_in_another_thread() -> None:
    bundle = load_bundle(model_path(), EngineConfig(n_ctx=128, n_threads=1))
    async with Engine.serve(bundle) as engine:
        ids = tuple(await engine.encode("Hello"))
        wanted = request(ids, max_tokens=20, temperature=1.0, seed=3, banned_strings=("e", "o"))
        async with engine.generate(wanted) as stream:
            text = "".join([event.text async for event in stream])
    assert text
    assert not set("eo") & set(text)


def test_the_latest_lists_are_kept() -> None:
    vocabulary = Vocabulary(FakeTokenizer(), 259)
    first = vocabulary.banned_strings(("a",))
    for i in range(MOST_LISTS - 1):
        vocabulary.banned_strings((f"b{i}",))
    assert vocabulary.banned_strings(("a",)) is first
    for i in range(MOST_LISTS):
        vocabulary.banned_strings((f"c{i}",))
    assert vocabulary.banned_strings(("a",)) is not first


def test_most_characters_of_a_token_are_found_by_a_plain_search() -> None:
    pieces = [bytes(np.random.default_rng(i).integers(97, 100, 1 + i % 7).tolist()) for i in range(300)]
    texts = TokenTexts(pieces)
    for part in (b"a", b"ab", b"abc", b"ccc", b"aaaaaaaa"):
        assert sorted(texts.containing(part)) == [i for i, piece in enumerate(pieces) if part in piece]
        found = texts.ids(texts.beginning_with(part, range(len(texts))))
        assert sorted(found) == [i for i, piece in enumerate(pieces) if piece.startswith(part)]


@pytest.mark.parametrize(
    ("strings", "fault"),
    [
        (("",), "empty"),
        (("x" * 1025,), "more than 1024 characters"),
        (tuple(map(str, range(1025))), "1025 are more than 1024"),
        (("x" * 1000,) * 66, "together they have more than 65536"),
        (("a\ufffd",), "replacement character"),
    ],
)
def test_a_list_that_cannot_be_banned_is_refused(strings: tuple[str, ...], fault: str) -> None:
    with pytest.raises(InvalidParameterError, match=fault) as refused:
        SamplingParams(banned_strings=strings)
    assert refused.value.param == "banned_strings"


def test_a_model_without_a_vocabulary_cannot_ban_strings() -> None:
    from oxillama.engine.requests.check import check_request

    for wanted in (request(banned_strings=("a",)), request(logit_bias={"a": 1.0})):
        with pytest.raises(InvalidParameterError, match="no vocabulary"):
            check_request(wanted, n_ctx=64, n_vocab=259, has_text=False)
