"""Cross-origin requests: which web pages may call the API. By default, none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.server.access.origins import ANY, OriginPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug.datastructures import Headers

EXPOSED = "x-request-id, retry-after, openai-processing-ms, openai-poll-after-ms"
METHODS = "GET, POST, DELETE, OPTIONS"
DAY = "86400"


class CORS:
    """The headers for the origins that are allowed; see `origins` for the patterns."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Raises ValueError for an invalid pattern."""
        self._any = ANY in origins
        self._origins = [OriginPattern(origin) for origin in origins]

    def headers(self, request: Headers, *, preflight: bool = False) -> dict[str, str]:
        """The headers to add to an answer; none if the origin is not allowed."""
        origin = request.get("Origin")
        if origin is None or not any(pattern.matches(origin) for pattern in self._origins):
            # Caches must not give one origin's answer to another origin.
            return {} if self._any or not self._origins else {"Vary": "Origin"}
        found = {"Access-Control-Allow-Origin": "*" if self._any else origin, "Access-Control-Expose-Headers": EXPOSED}
        if not self._any:
            found["Vary"] = "Origin"
        if preflight:
            wanted = request.get("Access-Control-Request-Headers", "authorization, content-type")
            found |= {
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": wanted,
                "Access-Control-Max-Age": DAY,
            }
        return found
