"""POST /v1/rerank: the request, in the shape of Jina's and Cohere's APIs."""

from __future__ import annotations

from typing import Annotated

import msgspec

MAX_DOCUMENTS = 2048


class Document(msgspec.Struct, kw_only=True):
    text: str


class RerankRequest(msgspec.Struct, kw_only=True):
    """Other fields have no effect and are ignored. truncate is ours."""

    model: str
    query: str
    documents: Annotated[list[str | Document], msgspec.Meta(min_length=1, max_length=MAX_DOCUMENTS)]
    top_n: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        msgspec.Meta(description="How many results are wanted, the best ones; all by default."),
    ] = None
    return_documents: Annotated[
        bool | None, msgspec.Meta(description="Put each document's text into its result.")
    ] = None
    truncate: Annotated[
        bool | None, msgspec.Meta(description="Cut documents that are too long, instead of refusing them.")
    ] = None

    @property
    def texts(self) -> list[str]:
        return [item if isinstance(item, str) else item.text for item in self.documents]
