"""Patterns of origins, as `cors_origins` takes them.

`scheme://host[:port]` matches one origin. `scheme://*.host` matches every subdomain of `host` at any depth, but not
`host` itself. The port `*` matches any port, and none. `*` alone matches every origin.
"""

from __future__ import annotations

import re

ANY = "*"
DEFAULT_PORTS = {"http": "80", "https": "443"}
_PATTERN = re.compile(r"([a-z][a-z0-9+.-]*)://(\*\.)?(\[[0-9a-f:.]+\]|[^\s/:*?#@\[\]]+)(?::(\*|[0-9]{1,5}))?", re.ASCII)


class OriginPattern:
    """A pattern: one origin or several."""

    def __init__(self, pattern: str) -> None:
        """Raises ValueError (one line) for an invalid pattern."""
        found = _PATTERN.fullmatch(pattern.lower())
        if pattern != ANY and found is None:
            raise ValueError(
                f"{pattern!r} is not an origin: write scheme://host[:port], where the host may begin with '*.' and the "
                "port be '*'; or * alone for every origin"
            )
        self._parts = None if found is None else _parts(found)

    def matches(self, origin: str) -> bool:
        """Whether the pattern matches a request's Origin header."""
        if self._parts is None:
            return True
        found = _PATTERN.fullmatch(origin.lower())
        if found is None:
            return False
        scheme, below, host, port = self._parts
        its_scheme, its_below, its_host, its_port = _parts(found)
        if its_below or its_port == "*":
            return False
        host_fits = its_host.endswith("." + host) if below else its_host == host
        return its_scheme == scheme and host_fits and port in ("*", its_port)


def _parts(found: re.Match[str]) -> tuple[str, bool, str, str | None]:
    """(scheme, whether the pattern means subdomains of the host, host, port). A default port counts as none."""
    scheme, below, host, port = found.groups()
    return scheme, bool(below), host, None if port == DEFAULT_PORTS.get(scheme) else port
