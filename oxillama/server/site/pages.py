"""The files of the pages for browsers. They are read once from the package, never from a path in a request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

# Only these endings are served; licences and other files in the folder are not.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# A page may only load our own files and call our own API. A model's answer can contain any address and any markup, so
# no inline code runs, nothing is fetched from other hosts, and only the sanitizer creates HTML.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Browsers cache the files but revalidate them each time, so a new version of the package takes effect at once.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is sent; `etag` is a quoted hash of its bytes."""

    body: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, content_type: str) -> Page:
        return cls(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:24]}"')


@cache
def pages() -> Mapping[str, Page]:
    """Every file, by its path below `ui/`, with forward slashes."""
    found: dict[str, Page] = {}
    _collect(resources.files("oxillama.server.site") / "ui", "", found)
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, Page]) -> None:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            _collect(entry, f"{name}/", found)
            continue
        content_type = TYPES.get(name[name.rfind(".") :])
        if content_type is not None:
            found[name] = Page.of(entry.read_bytes(), content_type)
