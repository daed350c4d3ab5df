"""GET /openapi.json: the API's description, open to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from quart import Blueprint, current_app

from oxillama.server.apis.openapi.document import describe_api
from oxillama.server.site.pages import HEADERS, Page
from oxillama.server.site.routes import page_response
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
async def document() -> Response:
    """This description."""
    made = current_app.extensions
    if "openapi" not in made:
        described = describe_api(current_app, needs_key=bool(server_state().config.api_keys))
        made["openapi"] = Page.of(msgspec.json.encode(described), "application/json")
    return page_response(made["openapi"], HEADERS)
