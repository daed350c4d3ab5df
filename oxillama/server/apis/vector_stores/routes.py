"""/v1/vector_stores: create, list, fetch, modify, delete, search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.server.apis.vector_stores.answer import SearchResult, SearchResults, VectorStoreObject
from oxillama.server.apis.vector_stores.request import CreateVectorStore, ModifyVectorStore, SearchVectorStore
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted
from oxillama.server.wire.pagination import Page, read_page
from oxillama.server.wire.tools import chunking_of
from oxillama.storage.ids import new_id
from oxillama.vector_stores.passages import SearchOptions
from oxillama.vector_stores.records import VectorStore, VectorStoreFile

if TYPE_CHECKING:
    from oxillama.vector_stores.passages import Passage

api = API("vector_stores", prefix="/v1/vector_stores", order=32)

DEFAULT_RESULTS = 10


@api.post("", body=CreateVectorStore, answer=VectorStoreObject, example={"name": "Manuals"})
async def create_vector_store(wire: CreateVectorStore) -> VectorStoreObject:
    """Files in `file_ids` are read in the background: poll until `file_counts.in_progress` is 0."""
    stores = server_state().require_vector_stores()
    now, chunking = stores.records.now(), chunking_of(wire.chunking_strategy)
    store = VectorStore(
        id=new_id("vs"),
        created_at=now,
        name=wire.name,
        description=wire.description,
        metadata=wire.metadata or {},
        last_active_at=now,
        expires_after_days=None if wire.expires_after is None else wire.expires_after.days,
    )
    files = [VectorStoreFile(id=file_id, created_at=now, chunking=chunking) for file_id in wire.file_ids or ()]
    store = await stores.create(store, files)
    return await stores.in_thread(VectorStoreObject.of, store, stores.records)


@api.get("", answer=Page[VectorStoreObject])
async def list_vector_stores() -> Page[VectorStoreObject]:
    stores = server_state().require_vector_stores()
    return await read_page(
        stores.in_thread, stores.records.page, lambda store: VectorStoreObject.of(store, stores.records)
    )


@api.get("/<vector_store_id>", answer=VectorStoreObject)
async def get_vector_store(vector_store_id: str) -> VectorStoreObject:
    stores = server_state().require_vector_stores()
    store = await stores.in_thread(stores.records.get, vector_store_id)
    return await stores.in_thread(VectorStoreObject.of, store, stores.records)


@api.post("/<vector_store_id>", body=ModifyVectorStore, answer=VectorStoreObject, example={"name": "New manuals"})
async def modify_vector_store(wire: ModifyVectorStore, vector_store_id: str) -> VectorStoreObject:
    """Only the fields that are given change."""
    stores = server_state().require_vector_stores()
    changes: dict[str, Any] = {"last_active_at": stores.records.now()}
    if wire.name is not None:
        changes["name"] = wire.name
    if wire.metadata is not None:
        changes["metadata"] = wire.metadata
    if not isinstance(wire.expires_after, msgspec.UnsetType):
        changes["expires_after_days"] = None if wire.expires_after is None else wire.expires_after.days

    def change() -> VectorStoreObject:
        return VectorStoreObject.of(stores.records.update(vector_store_id, **changes), stores.records)

    return await stores.in_thread(change)


@api.delete("/<vector_store_id>", answer=Deleted)
async def delete_vector_store(vector_store_id: str) -> Deleted:
    """The files themselves stay."""
    stores = server_state().require_vector_stores()
    await stores.in_thread(stores.records.delete, vector_store_id)
    return Deleted(id=vector_store_id, object="vector_store.deleted")


@api.post(
    "/<vector_store_id>/search", body=SearchVectorStore, answer=SearchResults, example={"query": "How is it cleaned?"}
)
async def search_vector_store(wire: SearchVectorStore, vector_store_id: str) -> SearchResults:
    """The passages that answer the query best: by their words, and by their vectors if the model gives any."""
    stores = server_state().require_vector_stores()
    ranking = wire.ranking_options
    options = SearchOptions(
        max_num_results=wire.max_num_results or DEFAULT_RESULTS,
        ranker=(ranking.ranker if ranking is not None else None) or "auto",
        score_threshold=(ranking.score_threshold if ranking is not None else None) or 0.0,
        filters=wire.filters,
    )
    queries = [wire.query] if isinstance(wire.query, str) else wire.query
    best: dict[tuple[str, int], Passage] = {}
    for query in queries:
        for passage in await stores.search([vector_store_id], query, options):
            key = (passage.file_id, passage.place.number)
            if key not in best or best[key].score < passage.score:
                best[key] = passage
    found = sorted(best.values(), key=lambda passage: -passage.score)[: options.max_num_results]
    return SearchResults(search_query=queries, data=[SearchResult.of(passage) for passage in found])
