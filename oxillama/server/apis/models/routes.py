"""/v1/models. Ids may hold slashes, and arrive with them or with %2F."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import Blueprint

from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Model, ModelList
from oxillama.server.wire.errors import APIError
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("models", __name__, url_prefix="/v1")


def _model(name: str) -> dict[str, Any]:
    engine = server_state().require_engine()
    return {
        "id": name,
        "object": "model",
        "created": engine.model_created,
        "owned_by": "oxillama",
        "context_length": engine.n_ctx,
    }


@blueprint.get("/models")
@describes(answer=ModelList)
async def list_models() -> Response:
    """The one model, under each of its names."""
    state = server_state()
    state.require_engine()
    return json_response({"object": "list", "data": [_model(name) for name in state.model_ids]})


@blueprint.get("/models/<path:name>")
@describes(answer=Model)
async def get_model(name: str) -> Response:
    """One model, or 404 `model_not_found`."""
    return json_response(_model(server_state().check_model(name)))


@blueprint.delete("/models/<path:name>")
async def delete_model(name: str) -> Response:
    """Refused: the model is a file of whoever runs the server."""
    server_state().check_model(name)
    raise APIError(403, "You have insufficient permissions for this operation: the served model cannot be deleted.")
