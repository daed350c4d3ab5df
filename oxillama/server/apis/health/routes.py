"""GET /health: open to all, answered without touching the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

from oxillama.errors import EngineClosedError
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Health
from oxillama.server.wire.errors import APIError, api_error, server_fault
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@describes(answer=Health)
async def health() -> Response:
    """200 while work is taken, else 503 in the envelope; `status` says which phase the server is in."""
    state = server_state()
    status = {"status": state.phase.value}
    try:
        return json_response(status | {"model": state.model_id})
    except (APIError, EngineClosedError) as error:
        told = api_error(error) or server_fault()
        return json_response(status | told.envelope(), told.status, told.headers)
