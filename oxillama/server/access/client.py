"""The client's address, for the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

_FOR = re.compile(r'(?:^|;)\s*for=("[^"]*"|[^;,\s]+)', re.IGNORECASE)
LONGEST = 64  # characters


def client_address(headers: Headers, peer: str | None, *, trust_proxy: bool) -> str | None:
    """The address of a request's client: the socket's peer, or the address that a trusted proxy reports.

    A proxy appends the address it sees to Forwarded (RFC 7239) or X-Forwarded-For. Only the last entry counts, because
    a client can send the others itself.
    """
    if not trust_proxy:
        return peer
    forwarded = _FOR.search(headers.get("Forwarded", "").rpartition(",")[2])
    if forwarded is not None:
        found = forwarded.group(1).strip('"')
    else:
        found = headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return found[:LONGEST] or peer
