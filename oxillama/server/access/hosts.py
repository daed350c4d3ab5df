"""Which Host headers are answered: the guard against DNS rebinding.

A foreign web page can make its own name resolve to 127.0.0.1 after it was loaded. The browser then believes that the
page talks to its own site, so no rule about origins applies, and the page can read the answers of a server on this
machine. The Host header still has the page's name. That name is in public DNS and so has a dot. An address, or a name
without a dot, cannot belong to such a page.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from oxillama.server.wire.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Sequence

ANY = "*"
LOCAL_SUFFIX = ".localhost"  # resolves to this machine only (RFC 6761, 6.3)


class HostRule:
    """Checks hosts if the server listens on this machine only and has no keys, or if allowed hosts are configured."""

    def __init__(self, host: str, allowed: Sequence[str], *, has_keys: bool) -> None:
        """host: the address the server listens on. allowed: names, `*.name` for subdomains, or `*` for all."""
        self._checks_all = bool(allowed) and ANY not in allowed
        self._checks_local = not allowed and not has_keys and listens_locally(host)
        self._names = {name.lower() for name in (host, *allowed) if not name.startswith("*.")}
        self._suffixes = (LOCAL_SUFFIX, *(name[1:].lower() for name in allowed if name.startswith("*.")))

    def check(self, header: str | None, reached_at: str | None) -> None:
        """Raise APIError 403 for a Host header with a name that does not belong to this server.

        reached_at: the address that the client connected to. Another ASGI server may listen on more than `host`.
        """
        checks = self._checks_all or (self._checks_local and (reached_at is None or is_loopback(reached_at)))
        if not checks or header is None:  # browsers always send a Host header
            return
        name = host_name(header)
        if "." not in name or is_address(name) or name in self._names or name.endswith(self._suffixes):
            return
        message = (
            f"The Host header names '{name[:100]}', which this server does not answer to. (HINT: if it should, add the "
            "name to the setting 'allowed_hosts'.)"
        )
        raise APIError(403, message, code="host_not_allowed")


def host_name(header: str) -> str:
    """The host of a Host header, in lower case, without its port, brackets and final dot."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def is_address(name: str) -> bool:
    """Whether it is an IP address, which no DNS answer can turn into another."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an IP address belongs to this machine only."""
    if not is_address(address):
        return False
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def listens_locally(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`, which may be a name or a short form such as
    127.1. Resolves names; blocking."""
    if is_address(host):
        return is_loopback(host)
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)  # as hypercorn resolves names
    except (OSError, UnicodeError):
        return False  # nothing can listen there
    return all(is_loopback(str(address[0])) for *_, address in found)
