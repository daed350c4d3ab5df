"""POST /v1/rerank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from oxillama.engine.api.embedding import EmbeddingRequest
from oxillama.engine.requests.embedding import check_reranks, pair_prompts
from oxillama.server.apis.rerank.answer import RerankAnswer, RerankDocument, RerankResult, RerankUsage
from oxillama.server.apis.rerank.request import RerankRequest
from oxillama.server.observe.record import current_record
from oxillama.server.operation import API
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike

api = API("rerank", prefix="/v1", order=24)


@api.post(
    "/rerank",
    body=RerankRequest,
    answer=RerankAnswer,
    example={"query": "Where do pandas live?", "documents": ["In China.", "In the sea."]},
    generating=True,
)
async def create_rerank(wire: RerankRequest) -> RerankAnswer:
    """Order documents by how well they answer a query."""
    state = server_state()
    model, engine = state.check_model(wire.model), state.require_engine()
    check_reranks(engine.embedder, model)
    texts = wire.texts
    async with state.admission.preparing(engine):
        request = await _read(wire, texts, engine)
    scores = [float(row[0, 0]) for row in await engine.embed(request)]
    current_record().read(request.n_tokens)
    order = sorted(range(len(texts)), key=lambda at: -scores[at])[: wire.top_n]
    results = [
        RerankResult(
            index=at,
            relevance_score=scores[at],
            document=RerankDocument(text=texts[at]) if wire.return_documents else msgspec.UNSET,
        )
        for at in order
    ]
    usage = RerankUsage(prompt_tokens=request.n_tokens, total_tokens=request.n_tokens)
    return RerankAnswer(model=model, results=results, usage=usage)


async def _read(wire: RerankRequest, texts: list[str], engine: EngineLike) -> EmbeddingRequest:
    pairs = await pair_prompts(engine, wire.query, texts, cut=bool(wire.truncate))
    params = tuple(f"documents[{at}]" for at in range(len(pairs)))
    return EmbeddingRequest(texts=tuple(pairs), params=params)
