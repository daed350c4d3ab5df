"""/v1/models. Ids may contain slashes, which arrive as such or as %2F."""

from __future__ import annotations

from typing import NoReturn

from oxillama.server.apis.models.answer import Model, ModelList
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.errors import APIError

api = API("models", prefix="/v1/models", order=30)


def _model(name: str) -> Model:
    engine = server_state().require_engine()
    return Model(id=name, created=engine.model_created, context_length=engine.n_ctx)


@api.get("", answer=ModelList)
async def list_models() -> ModelList:
    """The model, once for each of its names."""
    state = server_state()
    state.require_engine()
    return ModelList(data=[_model(name) for name in state.model_ids])


@api.get("/<path:name>", answer=Model)
async def get_model(name: str) -> Model:
    """One model, or 404 `model_not_found`."""
    state = server_state()
    model_id = state.check_model(name)
    return _model(name if name in state.model_ids else model_id)


@api.delete("/<path:name>")
async def delete_model(name: str) -> NoReturn:
    """Always refused: the server does not delete model files."""
    server_state().check_model(name)
    raise APIError(403, "You have insufficient permissions for this operation: the served model cannot be deleted.")
