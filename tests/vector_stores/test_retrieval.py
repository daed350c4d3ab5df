"""How often the passage that answers a question is among the first five, by words alone and with an encoder.

The questions are about two texts in the public domain, and the project's documentation lies between them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from oxillama.concurrency import Offload
from oxillama.engine.engine import Engine
from oxillama.vector_stores.embedding import model_of, passage_vectors, query_vector
from oxillama.vector_stores.extraction.chunks import cut
from oxillama.vector_stores.index import Index, Ranked, open_index
from oxillama.vector_stores.ranking import DEPTH, fused
from oxillama.vector_stores.terms import query_terms
from tests.support.shared import shared

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS: list[tuple[str, str]] = json.loads(Path(__file__).with_name("questions.json").read_text("utf-8"))
SIZE, OVERLAP = 200, 100  # tokens
LEAST_CHUNKS = 500
LEAST_RECALL = 0.9


def corpus() -> dict[str, str]:
    texts = [shared(f"models/text/{name}.txt") for name in ("us-constitution", "us-declaration")]
    return {path.name: path.read_text("utf-8") for path in [*texts, *sorted((ROOT / "docs").rglob("*.md"))]}


def plain(text: str) -> str:
    return " ".join(text.split())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def recall(index: Index, rankings_of: Any) -> tuple[float, list[str]]:
    """The share of questions with an answer among the first five passages, and the others."""
    missed = []
    for question, answer in QUESTIONS:
        best = [row for row, _ in fused(rankings_of(question))[:5]]
        found = index.passages(best)
        if not any(plain(answer) in plain(found[row].text) for row in best):
            missed.append(question)
    return 1 - len(missed) / len(QUESTIONS), missed


def test_no_question_shares_four_words_in_a_row_with_the_texts() -> None:
    assert len(QUESTIONS) == 50
    texts = [words(text) for name, text in corpus().items() if name.endswith(".txt")]
    runs = {tuple(text[at : at + 4]) for text in texts for at in range(len(text) - 3)}
    shared_runs = [
        question
        for question, _ in QUESTIONS
        if any(tuple(words(question)[at : at + 4]) in runs for at in range(len(words(question)) - 3))
    ]
    assert shared_runs == []
    everything = plain(" ".join(corpus().values()))
    assert [answer for _, answer in QUESTIONS if plain(answer) not in everything] == []


def test_words_alone_find_nine_answers_in_ten(tmp_path: Path) -> None:
    texts = corpus()
    chunks = {name: cut(text, SIZE, OVERLAP) for name, text in texts.items()}
    assert sum(map(len, chunks.values())) >= LEAST_CHUNKS
    with open_index(str(tmp_path / "index.db")) as index:
        for name, text in texts.items():
            index.replace(name, text, chunks[name])

        def by_words(question: str) -> list[list[Ranked]]:
            return [index.by_words(query_terms(question), texts, DEPTH)]

        found, missed = recall(index, by_words)
        print(f"recall at 5 of {found:.2f} over {sum(map(len, chunks.values()))} passages; missed: {missed}")
        assert found >= LEAST_RECALL


@pytest.mark.slow
async def test_an_encoder_finds_more(tmp_path: Path) -> None:
    texts = corpus()
    model = shared("models/minilm/paraphrase-MiniLM-L3-v2-q8_0.gguf")
    async with Engine.open(model) as engine:
        with open_index(str(tmp_path / "index.db")) as index:
            for name, text in texts.items():
                chunks = cut(text, SIZE, OVERLAP)
                vectors = await passage_vectors(engine, [text[a:b] for a, b in chunks], Offload(2))
                index.replace(name, text, chunks, vectors)
            vector_of = {question: await query_vector(engine, question) for question, _ in QUESTIONS}

            def by_words(question: str) -> list[list[Ranked]]:
                return [index.by_words(query_terms(question), texts, DEPTH)]

            def by_vector(question: str) -> list[list[Ranked]]:
                vector = cast("np.ndarray[Any, Any]", vector_of[question])
                return [index.by_vector(vector, model_of(engine), texts, DEPTH)]

            alone, _ = recall(index, by_words)
            vectors_alone, _ = recall(index, by_vector)
            both, missed = recall(index, lambda question: by_vector(question) + by_words(question))
    print(f"recall at 5: words {alone:.2f}, vectors {vectors_alone:.2f}, both {both:.2f}; missed: {missed}")
    assert both > alone
