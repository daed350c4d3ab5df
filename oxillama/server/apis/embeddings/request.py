"""POST /v1/embeddings: the request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.generation.prompts import schema_of
from oxillama.server.wire.fields import accepts

MAX_INPUTS = 2048
"""OpenAI's limit."""


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """Fields of the OpenAI API that are not listed here have no effect and are ignored. truncate is ours."""

    model: str
    input: Annotated[str | list[Any], accepts(schema_of(MAX_INPUTS, nullable=False))]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None,
        msgspec.Meta(description="Only the first columns, of length 1 again. At most the model's."),
    ] = None
    truncate: Annotated[
        bool | None, msgspec.Meta(description="Cut inputs that are too long, instead of refusing them.")
    ] = None
    user: str | None = None
