"""GET /health: open to all, answered without touching the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.errors import EngineClosedError
from oxillama.server.apis.health.answer import Health, Unwell
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.errors import APIError, api_error, server_fault
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from quart import Response

api = API("health", order=90)


@api.get("/health", answer=Health, open=True, quiet=True)
async def health() -> Health | Response:
    """200 while work is taken, else 503 in the envelope; `status` says which phase the server is in."""
    state = server_state()
    try:
        return Health(status=state.phase.value, model=state.model_id)
    except (APIError, EngineClosedError) as error:
        refusal = api_error(error) or server_fault()
        answer = Unwell(status=state.phase.value, error=refusal.envelope().error)
        return json_response(answer, refusal.status, refusal.headers)
