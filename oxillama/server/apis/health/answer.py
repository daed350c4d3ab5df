"""GET /health: the answers."""

from __future__ import annotations

from typing import Literal

from oxillama.server.wire.answer import Answer
from oxillama.server.wire.errors import ErrorBody

Status = Literal["loading", "ok", "draining", "stopped"]


class Health(Answer, kw_only=True):
    status: Status
    model: str


class Unwell(Answer, kw_only=True):
    """The 503 while no work is taken: an error's envelope, with the status beside it."""

    status: Status
    error: ErrorBody
