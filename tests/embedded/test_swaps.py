"""Words of conversations in place of others: the same relations between words, and every word of the vocabulary."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from oxillama.embedded.chat import pieces
from oxillama.embedded.data.calls import tasks
from oxillama.embedded.data.conversations import stream
from oxillama.embedded.learning import vocabulary
from oxillama.embedded.learning.batches import copies
from oxillama.embedded.learning.copying import same_words
from oxillama.embedded.learning.swaps import Swaps


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [m["content"] for messages, _ in stream(1, 9, 600) for m in messages]
    return vocabulary.learn(texts, 700)


@pytest.fixture(scope="module")
def samples(tokenizer: Any) -> list[list[int]]:
    rng = random.Random("swaps")
    return [vocabulary.encode(tokenizer, pieces(*tasks.one(rng)))[0] for _ in range(400)]


@pytest.fixture(scope="module")
def swaps(tokenizer: Any, samples: list[list[int]]) -> Swaps:
    return Swaps(tokenizer, samples, kept=60)


def test_a_word_is_swapped_for_one_word_wherever_it_stands(
    tokenizer: Any, samples: list[list[int]], swaps: Swaps
) -> None:
    same, rng, changed = same_words(tokenizer, 700), random.Random(1), 0
    for ids in samples:
        swapped = swaps.apply(ids, rng)
        assert len(swapped) == len(ids)
        others: dict[int, int] = {}
        for old, new in zip(ids, swapped, strict=True):
            assert others.setdefault(same[old], same[new]) == same[new]
            before, after = (str(tokenizer.id_to_token(i)) for i in (old, new))
            assert before.startswith("Ġ") == after.startswith("Ġ")
            changed += old != new
            if old != new:
                assert before.removeprefix("Ġ").isalpha()
                assert before.removeprefix("Ġ")[0].isupper() == after.removeprefix("Ġ")[0].isupper()
    assert changed > 1000


def test_frequent_words_marks_and_digits_stay(tokenizer: Any, samples: list[list[int]], swaps: Swaps) -> None:
    rng = random.Random(2)
    for text in ('{"name": "properties", "type": "string"}', "17.5", "<tool_call>"):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert all(swaps.apply(ids, rng) == ids for _ in range(20))


def test_every_word_of_the_vocabulary_comes_into_conversations(
    tokenizer: Any, samples: list[list[int]], swaps: Swaps
) -> None:
    rng = random.Random(3)
    words = {i for text, i in tokenizer.get_vocab().items() if text.isascii() and text.isalpha() and len(text) > 1}
    before = words & {i for ids in samples for i in ids}
    after = words & {i for _ in range(5) for ids in samples for i in swaps.apply(ids, rng)}

    assert before != words
    assert after == words


def test_only_conversations_whose_answers_stand_in_the_prompt_are_swapped() -> None:
    kinds = {True: 0, False: 0}
    for messages, functions in stream(1, 5, 600):
        kinds[copies(messages, functions)] += 1
        if copies(messages, functions) and functions is None:
            shown = messages[0]["content"]
            for message in messages:
                if message["role"] == "assistant":
                    answer = message["content"]
                    items = json.loads(answer) if answer.startswith("[") else [answer]
                    assert all(str(item) in shown for item in items)
    assert min(kinds.values()) > 100
