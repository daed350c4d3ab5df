"""POST /v1/embeddings and /v1/rerank: the official client, and every refusal."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import openai
import pytest
import trio

from oxillama.engine.api.embedding import Embedder
from oxillama.server import ServerConfig, create_app
from oxillama.text import PromptText
from tests.server.test_client import HELLO, MODEL, client_of
from tests.support.asgi_client import ASGIClient, Response
from tests.support.fake_engine import EOS, FakeEngine, FakeTokenizer
from tests.support.live_server import live_server

VECTORS = Embedder(pooling="mean", width=8, max_tokens=16, generates=False)
SCORES = Embedder(pooling="rank", width=1, max_tokens=16, generates=False)


def counted(text: str, width: int = 8) -> Any:
    """The fake engine's vector of a text."""
    ids = [1, *(byte + 3 for byte in text.encode())]
    row = np.bincount([i % width for i in ids], minlength=width).astype(np.float32)
    return row / np.linalg.norm(row)


async def ask(path: str, embedder: Embedder, **body: Any) -> Response:
    app = create_app(ServerConfig(log_level="error"), engine=FakeEngine(embedder=embedder))
    return await ASGIClient(app).post(path, json={"model": MODEL, **body})


def refusal(response: Response) -> tuple[str, str, str]:
    error = response.json()["error"]
    assert response.status_code == 400, error
    return error["message"], error["param"], error["code"]


async def test_the_official_client_gets_vectors() -> None:
    async with live_server(FakeEngine(embedder=VECTORS)) as live, client_of(live) as client:
        plain = await client.embeddings.create(model=MODEL, input="abc", encoding_format="float", user="me")
        packed = await client.embeddings.create(model=MODEL, input=["abc", "d"])  # base64, which the client decodes
        ids = await client.embeddings.create(model=MODEL, input=[[1, 100], [8, 9, 7]], dimensions=4)
        alone = await client.embeddings.create(model=MODEL, input=[1, 100], encoding_format="float")
    np.testing.assert_allclose(plain.data[0].embedding, counted("abc"), rtol=1e-6)
    assert [item.index for item in packed.data] == [0, 1]
    np.testing.assert_array_equal(packed.data[0].embedding, plain.data[0].embedding)
    np.testing.assert_allclose(packed.data[1].embedding, counted("d"), rtol=1e-6)
    assert (packed.usage.prompt_tokens, packed.usage.total_tokens) == (6, 6)
    assert [len(item.embedding) for item in ids.data] == [4, 4]
    np.testing.assert_allclose(np.linalg.norm(ids.data[1].embedding), 1, rtol=1e-6)
    assert ids.usage.prompt_tokens == 5
    np.testing.assert_allclose(alone.data[0].embedding, counted("a"), rtol=1e-6)


async def test_both_encodings_hold_the_same_numbers() -> None:
    numbers = (await ask("/v1/embeddings", VECTORS, input="abc")).json()["data"][0]["embedding"]
    response = await ask("/v1/embeddings", VECTORS, input="abc", encoding_format="base64")
    packed = base64.b64decode(response.json()["data"][0]["embedding"])
    np.testing.assert_array_equal(np.frombuffer(packed, "<f4"), np.array(numbers, np.float32))


async def test_an_input_that_is_too_long_is_named_or_cut() -> None:
    message, param, code = refusal(await ask("/v1/embeddings", VECTORS, input=["a", "b" * 16]))
    assert message == "Invalid 'input[1]': it has 17 tokens, and this model takes at most 16."
    assert (param, code) == ("input[1]", "context_length_exceeded")
    assert refusal(await ask("/v1/embeddings", VECTORS, input="b" * 16))[1] == "input"
    cut = (await ask("/v1/embeddings", VECTORS, input=["a", "b" * 500], truncate=True)).json()
    np.testing.assert_allclose(cut["data"][1]["embedding"], counted("b" * 15), rtol=1e-6)
    assert cut["usage"]["total_tokens"] == 18


async def test_a_long_text_of_few_tokens_is_read_to_its_end() -> None:
    """WordPiece collapses white space, so a text of any length can have one token at its end."""
    text = " " * 40_000 + "hello"
    for truncate in (False, True):
        engine = FakeEngine(embedder=VECTORS)
        engine.tokenizer = Collapsing()
        app = create_app(ServerConfig(log_level="error"), engine=engine)
        body = {"model": MODEL, "input": text, "truncate": truncate}
        answer = (await ASGIClient(app).post("/v1/embeddings", json=body)).json()
        np.testing.assert_allclose(answer["data"][0]["embedding"], counted("hello"), rtol=1e-6)


class Collapsing(FakeTokenizer):
    """Drops white space, as WordPiece does between words."""

    def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
        return super().encode((text if isinstance(text, str) else text.text).strip(), add_special)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": []}, "input", "empty_array"),
        ({"input": [[]]}, "input[0]", "empty_array"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input[1]", "invalid_type"),
        ({"input": [1, 259]}, "input[1]", "integer_above_max_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": "a", "dimensions": 9}, "dimensions", "invalid_value"),
        ({"input": "a", "dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({}, "input", "missing_required_parameter"),
    ],
)
async def test_wrong_bodies_are_refused_by_name(body: dict[str, Any], param: str, code: str) -> None:
    assert refusal(await ask("/v1/embeddings", VECTORS, **body))[1:] == (param, code)


@pytest.mark.parametrize(
    ("path", "embedder", "words"),
    [
        ("/v1/embeddings", Embedder(), "was not opened for embeddings: open it with a pooling, such as --pooling mean"),
        ("/v1/embeddings", SCORES, "scores texts and gives no vectors: use /v1/rerank"),
        ("/v1/embeddings", Embedder(pooling="none", width=8, max_tokens=9), "gives a vector for each token"),
        ("/v1/rerank", VECTORS, "has no head that scores a query and a document, so it cannot rerank."),
        ("/v1/rerank", Embedder(pooling="rank", width=3, max_tokens=9), "so it cannot rerank."),
    ],
)
async def test_a_model_that_cannot_do_it_says_so(path: str, embedder: Embedder, words: str) -> None:
    body: dict[str, Any] = {"input": "a"} if path == "/v1/embeddings" else {"query": "a", "documents": ["b"]}
    message, param, code = refusal(await ask(path, embedder, **body))
    assert message.startswith(MODEL)
    assert words in message
    assert param == "model"
    assert code.startswith("model_without_")


@pytest.mark.parametrize("embedder", [VECTORS, SCORES])
async def test_a_model_that_only_reads_refuses_to_chat_and_to_write(embedder: Embedder) -> None:
    use = "/v1/rerank" if embedder is SCORES else "/v1/embeddings"
    async with live_server(FakeEngine(embedder=embedder)) as live, client_of(live) as client:
        with pytest.raises(openai.BadRequestError, match=f"{MODEL} generates no text: it only reads. Use {use}"):
            await client.chat.completions.create(model=MODEL, messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="generates no text"):
            await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        with pytest.raises(openai.BadRequestError, match="generates no text"):
            await client.completions.create(model=MODEL, prompt="a")


# The fake engine's score of a pair is how many of its bytes repeat an earlier one.


async def test_documents_are_ordered_by_their_scores() -> None:
    documents = ["xyz", {"text": "ababab"}, "abx"]
    response = await ask("/v1/rerank", SCORES, query="ab", documents=documents, return_documents=True)
    assert response.json() == {
        "object": "list",
        "model": MODEL,
        "results": [
            {"index": 1, "relevance_score": 6.0, "document": {"text": "ababab"}},
            {"index": 2, "relevance_score": 2.0, "document": {"text": "abx"}},
            {"index": 0, "relevance_score": 0.0, "document": {"text": "xyz"}},
        ],
        "usage": {"prompt_tokens": 21, "total_tokens": 21},
    }
    best = (await ask("/v1/rerank", SCORES, query="ab", documents=documents, top_n=1)).json()
    assert best["results"] == [{"index": 1, "relevance_score": 6.0}]


async def test_a_document_that_is_too_long_is_named_or_cut() -> None:
    documents = ["a", "b" * 16]
    message, param, code = refusal(await ask("/v1/rerank", SCORES, query="q", documents=documents))
    assert (message.split(":")[0], param, code) == ("Invalid 'documents[1]'", "documents[1]", "context_length_exceeded")
    cut = (await ask("/v1/rerank", SCORES, query="q", documents=documents, truncate=True)).json()
    assert cut["usage"]["total_tokens"] == 3 + 16


class Framing(FakeTokenizer):
    """Ends texts with a token, and counts the texts and characters that it encodes."""

    suffix_ids = (EOS,)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
        self.texts.append(text if isinstance(text, str) else text.text)
        return [*super().encode(text, add_special), *(self.suffix_ids if add_special else ())]


async def ranked(embedder: Embedder, **body: Any) -> tuple[Response, FakeEngine, Framing]:
    engine, tokenizer = FakeEngine(embedder=embedder), Framing()
    engine.tokenizer = tokenizer
    app = create_app(ServerConfig(log_level="error"), engine=engine)
    return await ASGIClient(app).post("/v1/rerank", json={"model": MODEL, **body}), engine, tokenizer


@pytest.mark.parametrize(
    ("template", "whole", "cut"),
    [(None, "qabc", "q" + "d" * 12), ("Q{query}D{document}.", "QqDabc.", "QqD" + "d" * 10 + ".")],
)
async def test_a_cut_shortens_the_document_alone(template: str | None, whole: str, cut: str) -> None:
    """A model may give its score at the end of the template, which must not be lost."""
    embedder = replace(SCORES, pair_template=template)
    response, engine, tokenizer = await ranked(embedder, query="q", documents=["abc", "d" * 999], truncate=True)
    assert response.status_code == 200, response.json()
    texts = engine.embedded[0].texts
    ends = 1 if template else 2  # one behind the query too
    assert [tokenizer.decode(ids).decode() for ids in texts] == [whole, cut]
    assert [ids.count(EOS) for ids in texts] == [ends, ends]
    assert all(ids[-1] == EOS for ids in texts)
    assert len(texts[1]) == 16


@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("template", [None, "Q{query}D{document}."])
async def test_a_query_that_is_too_long_is_named_before_any_document_is_encoded(
    template: str | None, truncate: bool
) -> None:
    embedder = replace(SCORES, pair_template=template)
    body: dict[str, Any] = {"query": "q" * 500_000, "documents": ["a"] * 2048, "truncate": truncate}
    response, _, tokenizer = await ranked(embedder, **body)
    message, param, code = refusal(response)
    assert message.startswith("Invalid 'query': it leaves no room for a document: a pair has ")
    assert (param, code) == ("query", "context_length_exceeded")
    assert sum(map(len, tokenizer.texts)) < 1000


async def test_the_first_document_that_is_too_long_ends_the_encoding() -> None:
    response, _, tokenizer = await ranked(SCORES, query="q", documents=["a", "b" * 999, *["c"] * 500])
    assert refusal(response)[1] == "documents[1]"
    assert tokenizer.texts == ["q", "a", "b" * 256]


async def test_texts_of_pairs_are_encoded_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves long ones to worker threads, so that other requests go on."""
    seen: list[int] = []

    async def encode(self: FakeEngine, text: str | PromptText, *, add_special: bool, parse_special: bool) -> list[int]:
        seen.append(len(text))
        await trio.lowlevel.checkpoint()
        return self.tokenizer.encode(text, add_special, parse_special)

    monkeypatch.setattr(FakeEngine, "encode", encode)
    for template in (None, "Q{query}D{document}."):
        seen.clear()
        embedder = replace(SCORES, pair_template=template)
        _, _, tokenizer = await ranked(embedder, query="q", documents=["b" * 50, "c" * 60], truncate=True)
        assert seen == list(map(len, tokenizer.texts))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": "a", "documents": []}, "documents"),
        ({"query": "a", "documents": [1]}, "documents[0]"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n"),
        ({"documents": ["b"]}, "query"),
    ],
)
async def test_wrong_bodies_for_rerank_are_refused_by_name(body: dict[str, Any], param: str) -> None:
    assert refusal(await ask("/v1/rerank", SCORES, **body))[1] == param


async def test_a_full_queue_is_a_429() -> None:
    app = create_app(ServerConfig(log_level="error"), engine=FakeEngine(embedder=VECTORS, busy=True, max_waiting=0))
    response = await ASGIClient(app).post("/v1/embeddings", json={"model": MODEL, "input": "a"})
    assert response.status_code == 429
