"""Bearer keys."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from oxillama.server.wire.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Keyring:
    """The keys that the API accepts. An empty keyring accepts every request."""

    def __init__(self, keys: Sequence[str]) -> None:
        # Digests all have the same length, so a comparison's time reveals nothing about the length of a key.
        self._digests = [_digest(key) for key in keys]

    def check(self, authorization: str | None) -> None:
        """Raise the 401 unless the header has one of the keys. All keys are compared, each in constant time."""
        if not self._digests:
            return
        token = _bearer(authorization)
        if not token:
            raise _unauthorized(
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        given = _digest(token)
        if not sum([hmac.compare_digest(given, known) for known in self._digests]):
            raise _unauthorized(f"Incorrect API key provided: {_masked(token)}.")


def client_scope(authorization: str | None) -> str:
    """A name for the key in the header that does not show it."""
    return _digest(_bearer(authorization)).hex()


def _bearer(authorization: str | None) -> str:
    """The key in the header; empty if there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _masked(token: str) -> str:
    """The key shortened: enough for its owner to recognise it."""
    if len(token) < 12:
        return "*" * len(token)
    shown = token if token.isascii() and token.isprintable() else "?" * len(token)
    return f"{shown[:3]}***{shown[-4:]}"


def _unauthorized(message: str) -> APIError:
    return APIError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
