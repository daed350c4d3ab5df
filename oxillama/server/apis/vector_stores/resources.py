"""Vector stores that assistants, threads and messages name, or that are made for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

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


async def resolved(resources: ToolResources | None, *, days: int | None = None) -> dict[str, Any] | None:
    """The resources as they are stored: the ids of vector stores, of which new ones are made here.

    days: after which a new one expires, when it is not used; None: it stays. Raises ObjectNotFoundError for a vector
    store or a file that does not exist, and APIError 400.
    """
    if resources is None:
        return None
    found: dict[str, Any] = {} if resources.code_interpreter is None else {"code_interpreter": {"file_ids": []}}
    search = resources.file_search
    if search is None:
        return found
    ids, new = list(search.vector_store_ids or ()), search.vector_stores or ()
    if ids and new:
        message = "Give 'vector_store_ids' or 'vector_stores', not both: one vector store is searched."
        raise bad_request(message, param=f"tool_resources.{SEARCH}", code="invalid_value")
    if ids:
        stores = server_state().require_vector_stores()
        await stores.in_thread(stores.records.get, ids[0])
    for at, wanted in enumerate(new):
        param = f"tool_resources.{SEARCH}.vector_stores[{at}].chunking_strategy"
        chunking = chunking_of(wanted.chunking_strategy, param)
        ids.append(await _made(wanted.file_ids or (), chunking, days=days, metadata=wanted.metadata))
    return found | {SEARCH: {"vector_store_ids": ids}}


async def with_files(resources: Mapping[str, Any] | None, file_ids: Iterable[str]) -> dict[str, Any] | None:
    """A thread's resources, whose vector store has these files too. It is made if there is none, or none any more.

    Raises ObjectNotFoundError for a file that does not exist.
    """
    wanted = list(dict.fromkeys(file_ids))
    found = None if resources is None else dict(resources)
    if not wanted:
        return found
    stores = server_state().require_vector_stores()
    known = ((found or {}).get(SEARCH) or {}).get("vector_store_ids") or []
    if known and await stores.in_thread(stores.records.is_active, known[0]):
        await stores.add_missing(known[0], wanted)
        return found
    made = await _made(wanted, Chunking(), days=HELPER_DAYS)
    return (found or {}) | {SEARCH: {"vector_store_ids": [made]}}


async def _made(
    file_ids: Iterable[str], chunking: Chunking, *, days: int | None, metadata: dict[str, str] | None = None
) -> str:
    stores = server_state().require_vector_stores()
    now = stores.records.now()
    store = VectorStore(
        id=new_id("vs"), created_at=now, last_active_at=now, expires_after_days=days, metadata=metadata or {}
    )
    files = [VectorStoreFile(id=file_id, created_at=now, chunking=chunking) for file_id in file_ids]
    return (await stores.create(store, files)).id
