"""GET /health: needs no key and no engine. It touches the disk only if the disk was full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.errors import EngineClosedError
from oxillama.server.apis.health.answer import Health, Status, Storage, Unwell
from oxillama.server.operation import API
from oxillama.server.state import Phase, ServerState, server_state
from oxillama.server.wire.errors import APIError, api_error, server_fault, unavailable
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from quart import Response

api = API("health", order=90)


@api.get("/health", answer=Health, open=True, quiet=True)
async def health() -> Health | Response:
    """200 while work is taken, else 503 in the envelope; `status` says which phase the server is in.

    A full disk leaves it at 200, `degraded`: a restart would not help, and what needs no disk is served. After a failed
    write to the medium only a restart helps: 503.
    """
    state = server_state()
    try:
        model = state.model_id
        storage = await _storage(state)
        if storage == "read_only":
            raise unavailable("The server cannot store anything until it is restarted.")
    except (APIError, EngineClosedError) as error:
        refusal = api_error(error) or server_fault()
        status: Status = "degraded" if state.phase is Phase.READY else state.phase.value
        return json_response(Unwell(status=status, error=refusal.envelope().error), refusal.status, refusal.headers)
    return Health(status="degraded" if storage == "full" else state.phase.value, model=model, storage=storage)


async def _storage(state: ServerState) -> Storage:
    if state.data is None:
        return "none"
    return await state.data.trouble() or "ok"
