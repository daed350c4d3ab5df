"""Arrays of different items: chosen tokens that would repeat one are refused, whatever their bytes begin and end."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from oxillama.engine.constraints.distinct import MOST_NESTED, DistinctFollower
from oxillama.engine.constraints.elements import Elements
from oxillama.engine.constraints.grammars import Grammar, Grammars
from oxillama.engine.token_texts import TokenTexts
from tests.engine.harness import Bench, request
from tests.support.fake_engine import EOS, FIRST_BYTE, FakeTokenizer
from tests.support.fake_runner import FakeRunner

TEXTS = 'start: <|distinct|> "[" (item ("," item)*)? "]"\nitem: /"[ab]{0,3}"/'
NAMES = 'start: <|distinct|> "{" item ("," item){3} "}"\nitem: /"[ab]{0,2}"/ ":" /[0-9]/'
LISTS = 'start: "[" list ("," list)* "]"\nlist: <|distinct|> "[" /[12]/ ("," /[12]/)? "]"'
EITHER = 'start: same | <|distinct|> other\nsame: "[" /[0-9]/ ("," /[0-9]/)* "]"\nother: "[" /[a-c]/ ("," /[a-c]/)* "]"'
SPACED = 'start: <|distinct|> "[" item (", " item)* "]"\nitem: /"[ab]"/'
WHOLE = 'start: <|distinct|> "[" /[12]/ ("," /[12]/)* "]"'
NESTED = 'start: list\nlist: <|distinct|> "[" (list ("," list)*)? "]"'
PIECES = [b'["', b'","', b'"]', b'",', b',"', b'""', b'"a', b'a"', b'","a', b'"a","', b"ab", b"1,", b",2", b"1,2"]


class Merged(FakeTokenizer):
    """Tokens that hold the end of one item and the beginning of the next, or whole items."""

    n_vocab = FakeTokenizer.n_vocab + len(PIECES)

    def token_bytes(self, token_id: int) -> bytes:
        first = FakeTokenizer.n_vocab
        return PIECES[token_id - first] if token_id >= first else super().token_bytes(token_id)

    def token_text(self, token_id: int) -> str:
        named = token_id < FakeTokenizer.n_vocab
        return super().token_text(token_id) if named else self.token_bytes(token_id).decode()


@cache
def grammars() -> Grammars:
    return Grammars(Merged(), Merged.n_vocab)


def grammar(text: str) -> Grammar:
    return grammars().compile(text)


def allowed(follower: DistinctFollower) -> list[int]:
    follower.fill()
    return np.unpackbits(follower.mask.view(np.uint8), bitorder="little").nonzero()[0].tolist()


def walk(text: str, rng: random.Random) -> str:
    follower, made = grammar(text).follow(), b""
    assert isinstance(follower, DistinctFollower)
    while not follower.ended:
        tokens = allowed(follower)
        assert tokens, made
        assert max(tokens) < Merged.n_vocab
        token = rng.choice(tokens)
        if token == EOS:
            break
        if follower.refuses(token):
            assert token not in allowed(follower)
            continue
        made += Merged().token_bytes(token)
        follower.accept(token)
        follower.check()
    return made.decode()


@pytest.mark.parametrize("text", [TEXTS, NAMES, LISTS, EITHER, SPACED, WHOLE])
def test_walks_repeat_nothing_and_never_get_stuck(text: str) -> None:
    rng = random.Random(1)
    seen = set()
    for _ in range(60):
        made = walk(text, rng)
        seen.add(made)
        if text == NAMES:
            pairs = json.loads(made, object_pairs_hook=list)
            assert len({name for name, _ in pairs}) == len(pairs) == 4
            continue
        items = json.loads(made) if text != EITHER else made[1:-1].split(",")
        for one in items if text == LISTS else [items]:
            assert len(set(one)) == len(one) or (text == EITHER and made[1].isdigit())
    assert len(seen) >= (4 if text in (WHOLE, SPACED) else 10)


def test_all_values_of_few_are_reached_and_then_the_array_ends() -> None:
    follower = grammar(WHOLE).follow()
    assert isinstance(follower, DistinctFollower)
    for byte in b"[2,1":
        follower.fill()
        assert not follower.refuses(byte + FIRST_BYTE)
        follower.accept(byte + FIRST_BYTE)
    comma = ord(",") + FIRST_BYTE
    assert comma in allowed(follower)
    assert follower.refuses(comma)  # there is no third value
    assert not follower.refuses(ord("]") + FIRST_BYTE)


def test_arrays_within_each_other_have_a_bounded_depth() -> None:
    follower = grammar(NESTED).follow()
    assert isinstance(follower, DistinctFollower)
    bracket = ord("[") + FIRST_BYTE
    depth = 0
    while bracket in allowed(follower):
        assert not follower.refuses(bracket)
        follower.accept(bracket)
        depth += 1
    assert depth == MOST_NESTED
    assert allowed(follower) == [ord("]") + FIRST_BYTE]
    assert bracket not in follower.forced()


def test_a_grammar_of_different_items_comes_with_the_vocabulary_sorted() -> None:
    sorted_ = 0

    def texts() -> TokenTexts:
        nonlocal sorted_
        sorted_ += 1
        return TokenTexts([Merged().token_bytes(i) for i in range(Merged.n_vocab)])

    made = Grammars(Merged(), Merged.n_vocab, texts)
    made.compile('start: "a"')
    assert sorted_ == 0
    made.compile(TEXTS)
    assert sorted_ == 1


def test_with_one_token_all_go_that_repeat_the_same_item() -> None:
    follower = grammar(TEXTS).follow()
    assert isinstance(follower, DistinctFollower)
    for byte in b'["a","a':
        follower.fill()
        assert not follower.refuses(byte + FIRST_BYTE)
        follower.accept(byte + FIRST_BYTE)
    quote = ord('"') + FIRST_BYTE
    closing = {quote, *(FakeTokenizer.n_vocab + PIECES.index(piece) for piece in (b'"]', b'",', b'","'))}
    assert closing <= set(allowed(follower))
    assert follower.refuses(quote)
    assert not closing & set(allowed(follower))


def test_a_generation_chooses_again_where_its_choice_is_refused() -> None:
    """A model that wants to repeat itself."""
    wanted = b'["a","a","a","a"]'

    def next_token(tokens: Sequence[int], n_vocab: int) -> int:
        at = len(tokens) - 3  # after the prompt
        return wanted[at] + FIRST_BYTE if at < len(wanted) else EOS

    bench = Bench(FakeRunner(next_token=next_token))
    plain = Grammars(FakeTokenizer(), FakeTokenizer.n_vocab).compile(TEXTS)
    (g,) = bench.run(request(constraint=plain, max_tokens=40))
    assert not bench.errors
    items = bench.text(g)[1:].split(",")[:-1]
    assert items[0] == '"a"'
    assert len(set(items)) == len(items) > 3


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ('["a","b"]', False), ('["a", "a"', True), ("[1, 1.0]", True), ("[1,10]", False), ("[-0,0,", True),
        ("[[1],[1.0]", True), ("[[1],[10]]", False), ('[{"a":1,"b":2},{"b":2, "a":1.0}', True), ("[true,true,", True),
        ('["a\\"","a"]', False), ('[1,"1"]', False), ('{"a":1,"b":"a"}', False), ('{"a":1,"a"', True),
        ('{"a":[1,1,{"a":0}],"b":1}', False), ("[]", False), ("[1e2,100]", True), ("[[],[]", True), ("[{},[]]", False),
    ],
)  # fmt: skip
def test_elements_are_equal_if_their_values_are(text: str, repeats: bool) -> None:
    elements = Elements()
    assert elements.feed(text.encode()) == (len(text) if repeats else None)
    one_by_one = Elements()
    ends = [one_by_one.feed(bytes([byte])) for byte in text.encode()]
    assert ends[:-1] == [None] * (len(text) - 1)
    assert ends[-1] == (1 if repeats else None)
