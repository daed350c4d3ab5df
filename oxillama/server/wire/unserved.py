"""Parts of the OpenAI API that this server may not have, so that a 404 can say so instead of "Invalid URL"."""

from __future__ import annotations

KNOWN = {
    "agents": "Agents",
    "assistants": "Assistants",
    "audio": "Audio",
    "batches": "Batch",
    "chat": "Chat Completions",
    "chatkit": "ChatKit",
    "completions": "Completions",
    "containers": "Containers",
    "content_provenance_checks": "Content Provenance",
    "conversations": "Conversations",
    "decisions": "Decisions",
    "embeddings": "Embeddings",
    "evals": "Evals",
    "files": "Files",
    "fine_tuning": "Fine-tuning",
    "images": "Images",
    "live": "Live",
    "models": "Models",
    "moderations": "Moderations",
    "organization": "Administration",
    "projects": "Administration",
    "realtime": "Realtime",
    "responses": "Responses",
    "safety": "Safety",
    "skills": "Skills",
    "threads": "Assistants",
    "uploads": "Uploads",
    "vaults": "Vaults",
    "vector_stores": "Vector Stores",
    "videos": "Videos",
    "webhook_endpoints": "Webhooks",
    "webhook_event_types": "Webhooks",
}
"""The first part of a path below `/v1`, and which of OpenAI's APIs it belongs to."""


def explain_unknown_path(method: str, path: str) -> tuple[str, str | None]:
    """The message and the code of the 404 for a path without a route."""
    version, _, rest = path.removeprefix("/").partition("/")
    message = f"Invalid URL ({method} {path})"
    if path.rstrip("/") in ("/rerank", "/v2/rerank"):  # other versions of an API that is not OpenAI's
        return f"{message}. (HINT: documents are ranked at /v1/rerank.)", None
    if version in KNOWN:
        return f"{message}. (HINT: the API is below /v1: add it to the base_url.)", None
    if version != "v1":
        return message, None
    first = rest.partition("/")[0]
    if first == "v1":
        return f"{message}. (HINT: /v1 is there twice: take it off the base_url or the path.)", None
    if first not in KNOWN:
        return message, None
    name = f"that part of OpenAI's {KNOWN[first]} API"
    return (
        f"This server does not serve {name} ({method} {path}). /openapi.json lists what it serves.",
        "unsupported_endpoint",
    )
