"""GET /health: the answers."""

from __future__ import annotations

from typing import Literal

from oxillama.server.wire.answer import Answer
from oxillama.server.wire.errors import ErrorBody

Status = Literal["loading", "ok", "degraded", "draining", "stopped"]
Storage = Literal["ok", "full", "read_only", "none"]


class Health(Answer, kw_only=True):
    """storage: whether assistants, threads, runs and files can be changed. On a full disk they cannot, and the status
    is `degraded`; everything else works. `none`: this server has no data directory."""

    status: Status
    model: str
    storage: Storage


class Unwell(Answer, kw_only=True):
    """The 503 of a server that takes no requests, or cannot store anything until a restart: an error envelope with the
    status beside it."""

    status: Status
    error: ErrorBody
