"""JSON answers, and the ids and times in them."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec
from quart import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxillama.server.wire.errors import APIError

_encode = msgspec.json.Encoder().encode


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`body` as JSON: anything msgspec can encode."""
    return Response(_encode(body), status, headers=dict(headers or {}), content_type="application/json")


def error_response(error: APIError) -> Response:
    """An error with its status and headers."""
    return json_response(error.envelope(), error.status, error.headers)


def now() -> int:
    """Unix seconds."""
    return int(time.time())


def new_request_id() -> str:
    """The value of `x-request-id`."""
    return "req_" + secrets.token_hex(16)
