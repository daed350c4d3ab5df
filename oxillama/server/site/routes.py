"""The pages for browsers: the chat at `/`, the API's description at `/docs`, and their files under `/ui/`.

They need no key, because they contain only the page itself. What the page shows comes from the API and from
`/ui/about`, with the key that the user enters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Response, request

from oxillama.server.operation import API
from oxillama.server.site.about import About, about
from oxillama.server.site.pages import HEADERS, Page, pages
from oxillama.server.state import server_state
from oxillama.server.wire.errors import not_found

if TYPE_CHECKING:
    from collections.abc import Mapping

api = API("pages", described=False)


@api.get("/", open=True)
async def chat_page() -> Response:
    """The chat page."""
    return page_response(pages()["index.html"])


@api.get("/docs", open=True)
async def docs_page() -> Response:
    """The page that shows the API's description."""
    return page_response(pages()["docs.html"])


@api.get("/ui/about", answer=About, quiet=True)
async def about_model() -> About:
    """What the chat page says about the model. Not part of the API: it may change with the page."""
    return about(server_state())


@api.get("/ui/<path:name>", open=True, quiet=True)
async def page_file(name: str) -> Response:
    """A file of the pages; 404 for any name that is not one."""
    page = pages().get(name)
    if page is None:
        raise not_found(f"Invalid URL (GET /ui/{name[:200]})")
    return page_response(page)


def page_response(page: Page, headers: Mapping[str, str] = HEADERS) -> Response:
    """The file, or 304 if the browser has it."""
    sent = {**headers, "ETag": page.etag}
    if page.etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")):
        return Response(b"", 304, headers=sent, content_type=None)
    return Response(page.body, 200, headers=sent, content_type=page.content_type)
