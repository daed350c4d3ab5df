"""POST /v1/embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.engine.api.embedding import EmbeddingRequest
from oxillama.engine.requests.embedding import check_embeds, fitted, vector_prompt
from oxillama.server.apis.embeddings.answer import EmbeddingObject, EmbeddingsAnswer, ReadUsage, written
from oxillama.server.apis.embeddings.request import MAX_INPUTS, EmbeddingsRequest
from oxillama.server.generation.prompts import texts_or_ids
from oxillama.server.observe.record import current_record
from oxillama.server.operation import API
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike

api = API("embeddings", prefix="/v1", order=22)


@api.post(
    "/embeddings",
    body=EmbeddingsRequest,
    answer=EmbeddingsAnswer,
    example={"input": ["How do I reset my password?", "Steps to recover a login"]},
    generating=True,
)
async def create_embeddings(wire: EmbeddingsRequest) -> EmbeddingsAnswer:
    """Turn a text, or several, into vectors of length 1."""
    state = server_state()
    model, engine = state.check_model(wire.model), state.require_engine()
    check_embeds(engine.embedder, model)
    async with state.admission.preparing(engine):
        request = await _read(wire, engine)
    rows = await engine.embed(request)
    current_record().read(request.n_tokens)
    data = [
        EmbeddingObject(index=at, embedding=written(row[0], wire.encoding_format or "float"))
        for at, row in enumerate(rows)
    ]
    usage = ReadUsage(prompt_tokens=request.n_tokens, total_tokens=request.n_tokens)
    return EmbeddingsAnswer(data=data, model=model, usage=usage)


async def _read(wire: EmbeddingsRequest, engine: EngineLike) -> EmbeddingRequest:
    given = texts_or_ids(wire.input, "input", most=MAX_INPUTS, n_vocab=engine.tokenizer.n_vocab, n_ctx=None)
    texts = [await vector_prompt(engine, text) if isinstance(text, str) else text for text in given]
    if wire.truncate:
        texts = [fitted(engine.tokenizer, ids, engine.embedder.max_tokens) for ids in texts]
    several = isinstance(wire.input, list) and not isinstance(wire.input[0], int)
    params = tuple(f"input[{at}]" if several else "input" for at in range(len(texts)))
    return EmbeddingRequest(texts=tuple(texts), params=params, dimensions=wire.dimensions)
