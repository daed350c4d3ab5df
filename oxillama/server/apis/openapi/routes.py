"""GET /openapi.json: the API's description, open to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from quart import current_app

from oxillama.server.apis.openapi.document import describe_api
from oxillama.server.operation import API
from oxillama.server.site.pages import HEADERS, Page
from oxillama.server.site.routes import page_response
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from quart import Response

    from oxillama.server.apis.openapi.answer import Document

api = API("openapi", order=95)


@api.get("/openapi.json", open=True)
async def document() -> Response:
    """The API's description, as OpenAPI 3.1."""
    state = server_state()
    if state.engine is None:
        return page_response(_page(describe_api(state.operations, needs_key=bool(state.config.api_keys))), HEADERS)
    made = current_app.extensions
    if "openapi" not in made:
        made["openapi"] = _page(
            describe_api(
                state.operations,
                needs_key=bool(state.config.api_keys),
                model=state.model_ids[0],
                sampling=state.engine.sampling_defaults,
            )
        )
    return page_response(made["openapi"], HEADERS)


def _page(described: Document) -> Page:
    return Page.of(msgspec.json.encode(described), "application/json")
