"""Objects as the API answers them, made into the records that are stored."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from oxillama.assistants.records import Assistant, Thread, ThreadMessage
from oxillama.files.records import StoredFile
from oxillama.storage.ids import is_id
from oxillama.storage.record import Record
from oxillama.vector_stores.records import VectorStore, VectorStoreFile

R = TypeVar("R", bound=Record)

PREFIXES: dict[type[Record], str] = {
    Assistant: "asst",
    Thread: "thread",
    ThreadMessage: "msg",
    StoredFile: "file",
    VectorStore: "vs",
    VectorStoreFile: "file",
}
"""How the ids of each kind begin."""

OURS = frozenset({"usage", "interim"})
"""Fields of records that the API does not have; an object must not set them."""


def record_of(value: dict[str, Any], kind: type[R], **more: Any) -> R:
    """The record of an object. more: defaults of fields that objects may lack. Raises ValueError that says why not.

    null stands for the default wherever a record has another one.
    """
    object_id = value.get("id")
    if not isinstance(object_id, str) or not is_id(object_id, PREFIXES[kind]):
        raise ValueError(f"{str(object_id)[:80]!r} is not an id that begins with '{PREFIXES[kind]}'")
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    given = {
        name: one
        for name, one in value.items()
        if name in fields and name not in OURS and (one is not None or fields[name].default is None)
    }
    try:
        return msgspec.convert(more | given, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{object_id}: {error}") from None


def message_of(value: dict[str, Any]) -> ThreadMessage:
    """The record of a message. One without a status, as earlier versions of the API had it, is complete."""
    at = value.get("completed_at") or value.get("created_at")
    message = record_of(value, ThreadMessage, status="completed", completed_at=at, content=[])
    if message.status == "in_progress":  # nobody will finish it here
        ended = message.created_at
        return msgspec.structs.replace(message, status="incomplete", completed_at=None, incomplete_at=ended)
    return message


def vector_store_of(value: dict[str, Any]) -> VectorStore:
    """The record of a vector store."""
    expires = value.get("expires_after")
    days = expires.get("days") if isinstance(expires, dict) else None
    at = value.get("last_active_at") or value.get("created_at")
    return record_of(value, VectorStore, expires_after_days=days, last_active_at=at)


def member_of(value: dict[str, Any]) -> VectorStoreFile:
    """The record of a file in a vector store, which is still to be read. Raises ValueError."""
    strategy = value.get("chunking_strategy")
    static = strategy.get("static") if isinstance(strategy, dict) else None
    chunking = {}
    if isinstance(static, dict):
        chunking = {"size": static.get("max_chunk_size_tokens"), "overlap": static.get("chunk_overlap_tokens")}
    kept = {name: value.get(name) for name in ("id", "created_at", "vector_store_id", "attributes")}
    member = record_of(kept, VectorStoreFile, chunking=chunking)
    if not is_id(member.vector_store_id, PREFIXES[VectorStore]):
        raise ValueError(f"{member.vector_store_id[:80]!r} is not an id that begins with '{PREFIXES[VectorStore]}'")
    return member
