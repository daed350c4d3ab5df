"""GET /openapi.json: the API's description, open to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
from quart import Blueprint, current_app

from oxillama.server.apis.openapi.document import describe_api
from oxillama.server.site.pages import HEADERS, Page
from oxillama.server.site.routes import page_response

if TYPE_CHECKING:
    from quart import Response

    from oxillama.server.app import Application

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
async def document() -> Response:
    """This description."""
    app = cast("Application", current_app)
    if app.description is None:
        described = describe_api(app, needs_key=bool(app.state.config.api_keys))
        app.description = Page.of(msgspec.json.encode(described), "application/json")
    return page_response(app.description, HEADERS)
