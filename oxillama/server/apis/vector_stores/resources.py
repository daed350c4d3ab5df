"""Vector stores that assistants, threads and messages name, or that are made for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import trio

from oxillama.errors import ObjectNotFoundError
from oxillama.server.state import server_state
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.tools import chunking_of
from oxillama.storage.ids import new_id
from oxillama.vector_stores.records import Chunking, VectorStore, VectorStoreFile

if TYPE_CHECKING:
    from oxillama.server.wire.tools import ToolResources

HELPER_DAYS = 7
"""How long a vector store stays that was made for a thread, after its last use. The hosted API's time."""

SEARCH = "file_search"


@asynccontextmanager
async def resolved(resources: ToolResources | None, *, days: int | None = None) -> AsyncIterator[dict[str, Any] | None]:
    """The resources as they are stored: the ids of vector stores, of which new ones are made here.

    What names them is stored inside the block: a block that raises leaves no new vector store behind.

    days: after which a new one expires, when it is not used; None: it stays. Raises ObjectNotFoundError for a vector
    store or a file that does not exist, and APIError 400.
    """
    if resources is None:
        yield None
        return
    found: dict[str, Any] = {} if resources.code_interpreter is None else {"code_interpreter": {"file_ids": []}}
    search = resources.file_search
    if search is None:
        yield found
        return
    ids, new = list(search.vector_store_ids or ()), search.vector_stores or ()
    if ids and new:
        message = "Give 'vector_store_ids' or 'vector_stores', not both: one vector store is searched."
        raise bad_request(message, param=f"tool_resources.{SEARCH}", code="invalid_value")
    if ids:
        stores = server_state().require_vector_stores()
        await stores.in_thread(stores.records.get, ids[0])
    if not new:
        yield found | {SEARCH: {"vector_store_ids": ids}}
        return
    (wanted,) = new  # the request has one at most
    param = f"tool_resources.{SEARCH}.vector_stores[0].chunking_strategy"
    chunking = chunking_of(wanted.chunking_strategy, param)
    async with _made(wanted.file_ids or (), chunking, days=days, metadata=wanted.metadata) as made:
        yield found | {SEARCH: {"vector_store_ids": [made]}}


@asynccontextmanager
async def with_files(
    resources: Mapping[str, Any] | None, file_ids: Iterable[str]
) -> AsyncIterator[dict[str, Any] | None]:
    """A thread's resources, whose vector store has these files too. It is made if there is none, or none any more.

    As with `resolved`, a block that raises leaves no new vector store behind. Raises ObjectNotFoundError for a file
    that does not exist.
    """
    wanted = list(dict.fromkeys(file_ids))
    found = None if resources is None else dict(resources)
    if not wanted:
        yield found
        return
    stores = server_state().require_vector_stores()
    known = ((found or {}).get(SEARCH) or {}).get("vector_store_ids") or []
    if known and await stores.in_thread(stores.records.is_active, known[0]):
        await stores.add_missing(known[0], wanted)
        yield found
        return
    async with _made(wanted, Chunking(), days=HELPER_DAYS) as made:
        yield (found or {}) | {SEARCH: {"vector_store_ids": [made]}}


@asynccontextmanager
async def _made(
    file_ids: Iterable[str], chunking: Chunking, *, days: int | None, metadata: dict[str, str] | None = None
) -> AsyncIterator[str]:
    stores = server_state().require_vector_stores()
    now = stores.records.now()
    store = VectorStore(
        id=new_id("vs"), created_at=now, last_active_at=now, expires_after_days=days, metadata=metadata or {}
    )
    files = [VectorStoreFile(id=file_id, created_at=now, chunking=chunking) for file_id in file_ids]
    store = await stores.create(store, files)
    try:
        yield store.id
    except BaseException:
        with trio.CancelScope(shield=True), suppress(ObjectNotFoundError):  # a client may have found and deleted it
            await stores.in_thread(stores.records.delete, store.id)
        raise
