"""POST /v1/rerank: the answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from oxillama.server.wire.answer import Answer


class RerankDocument(Answer, kw_only=True):
    text: str


class RerankResult(Answer, kw_only=True):
    """index: the document's place in the request. relevance_score: the model's own score; more is better."""

    index: int
    relevance_score: float
    document: RerankDocument | msgspec.UnsetType = msgspec.UNSET


class RerankUsage(Answer, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class RerankAnswer(Answer, kw_only=True):
    """The results, best first."""

    object: Literal["list"] = "list"
    model: str
    results: list[RerankResult]
    usage: RerankUsage
