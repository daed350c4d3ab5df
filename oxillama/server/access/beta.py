"""The header that names the version of the Assistants API. Version 2 is served, with and without the header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.server.wire.errors import bad_request

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

HEADER = "OpenAI-Beta"
PATHS = ("/v1/assistants", "/v1/threads", "/v1/vector_stores")
DEPRECATED = (
    "The v1 Assistants API has been deprecated. Please try again by setting the header 'OpenAI-Beta: assistants=v2'. "
    "See the migration guide for more information: https://platform.openai.com/docs/assistants/migration."
)
"""The hosted API's words, since clients show them."""


def check_version(path: str, headers: Headers) -> None:
    """Raise APIError 400 for a request that asks for version 1, whose objects had other fields."""
    if not path.startswith(PATHS):
        return
    asked = [value.strip() for value in headers.get(HEADER, "").split(",")]
    if "assistants=v1" in asked and "assistants=v2" not in asked:
        raise bad_request(DEPRECATED, code="invalid_beta")
