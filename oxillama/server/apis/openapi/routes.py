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

api = API("openapi", order=95)


@api.get("/openapi.json", open=True)
async def document() -> Response:
    """This description."""
    made = current_app.extensions
    if "openapi" not in made:
        state = server_state()
        described = describe_api(state.operations, needs_key=bool(state.config.api_keys))
        made["openapi"] = Page.of(msgspec.json.encode(described), "application/json")
    return page_response(made["openapi"], HEADERS)
