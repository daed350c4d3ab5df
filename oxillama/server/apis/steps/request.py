"""/v1/threads/{thread}/runs/{run}/steps: what requests may ask for beside the objects."""

from __future__ import annotations

from quart import request

from oxillama.server.wire.errors import bad_request

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
INCLUDE = {"include[]": f"`{CONTENT}`: with the texts that searches in files found."}
"""The parameter for the description."""


def wants_content() -> bool:
    """Whether the current request asks for the texts of search results. Raises APIError for anything else it asks."""
    wanted = request.args.getlist("include[]") + request.args.getlist("include")
    for value in wanted:
        if value != CONTENT:
            message = f"Invalid value: '{value[:100]}'. Supported values are: '{CONTENT}'."
            raise bad_request(message, param="include", code="invalid_value")
    return bool(wanted)
