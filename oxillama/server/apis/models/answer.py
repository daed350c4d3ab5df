"""/v1/models: the answers."""

from __future__ import annotations

from typing import Literal

from oxillama.server.wire.answer import Answer


class Model(Answer, kw_only=True):
    """context_length: the most tokens of one request, prompt and completion together."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["oxillama"] = "oxillama"
    context_length: int


class ModelList(Answer, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]
