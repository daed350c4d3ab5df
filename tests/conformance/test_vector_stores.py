"""/vector_stores: stores, their files, batches of files, and the search."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.conformance.client import Api, plain

RIVERS = b"# Rivers\n\nThe Danube flows through Vienna and Budapest.\n\nThe Thames flows through London.\n"
STATIC: Any = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}
WEEK: Any = {"anchor": "last_active_at", "days": 7}
QUICK: dict[str, Any] = {"poll_interval_ms": 20}


@pytest.fixture
def file(api: Api) -> Iterator[Any]:
    made = api.client.files.create(file=("rivers.md", RIVERS), purpose="assistants")
    yield made
    api.ask("DELETE", f"/files/{made.id}")


def known(store: dict[str, Any]) -> dict[str, Any]:
    """Without what use changes."""
    return {key: value for key, value in store.items() if key not in ("last_active_at", "expires_at")}


def counts(**some: int) -> dict[str, int]:
    whole = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0} | some
    return whole | {"total": sum(whole.values())}


def filled(api: Api, file: Any, **fields: Any) -> Any:
    store = api.client.vector_stores.create(name="rivers")
    api.client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, **fields, **QUICK)
    return store


def test_a_store_is_kept_changed_and_deleted(api: Api) -> None:
    before = api.now()
    made = plain(api.client.vector_stores.create(name="mine", metadata={"a": "b"}, expires_after=WEEK))
    assert before - 5 <= made["created_at"] <= made["last_active_at"] <= api.now() + 5
    assert (made["object"], made["name"], made["metadata"]) == ("vector_store", "mine", {"a": "b"})
    assert (made["status"], made["usage_bytes"], made["file_counts"]) == ("completed", 0, counts())
    assert made["expires_after"] == WEEK
    assert made["expires_at"] == made["last_active_at"] + 7 * 86_400
    found = plain(api.client.vector_stores.retrieve(made["id"]))
    assert known(found) == known(made)
    assert made["last_active_at"] <= found["last_active_at"] <= api.now() + 5
    listed = plain(api.client.vector_stores.list(limit=1))
    assert [known(one) for one in listed["data"]] == [known(made)]
    assert (listed["first_id"], listed["last_id"]) == (made["id"], made["id"])
    days: Any = {"anchor": "last_active_at", "days": 1}
    changed = plain(
        api.client.vector_stores.update(made["id"], name="other", metadata={}, expires_after=days)
    )
    assert known(changed) == known(made) | {"name": "other", "metadata": {}, "expires_after": days}
    assert changed["expires_at"] == changed["last_active_at"] + 86_400
    wanted = {"id": made["id"], "object": "vector_store.deleted", "deleted": True}
    assert plain(api.client.vector_stores.delete(made["id"])) == wanted
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/files")):
        url = f"/vector_stores/{made['id']}{path}"
        api.refused("vector store not found", partial(api.ask, method, url), id=made["id"])


def test_a_file_is_added_searched_and_taken_out(api: Api, file: Any) -> None:
    before = api.now()
    store = api.client.vector_stores.create(name="rivers")
    where: dict[str, Any] = {"vector_store_id": store.id}
    files = api.client.vector_stores.files
    attributes: dict[str, Any] = {"topic": "rivers", "year": 2024, "old": False}
    added = plain(files.create(file_id=file.id, attributes=attributes, chunking_strategy=STATIC, **where))
    assert (added["id"], added["object"], added["vector_store_id"]) == (file.id, "vector_store.file", store.id)
    assert before - 5 <= added["created_at"] <= api.now() + 5
    assert added["status"] in ("in_progress", "completed")
    done = plain(files.poll(file.id, **where, **QUICK))
    assert done["status"] == "completed", done
    assert done["usage_bytes"] > 0
    for one in (added, done):
        assert (one["attributes"], one["chunking_strategy"], one["last_error"]) == (attributes, STATIC, None)
    changes = ("status", "usage_bytes")
    assert {k: v for k, v in added.items() if k not in changes} == {k: v for k, v in done.items() if k not in changes}
    assert plain(files.retrieve(file.id, **where)) == done
    assert plain(files.list(store.id, filter="completed", limit=1))["data"] == [done]
    assert plain(files.list(store.id, filter="failed"))["data"] == []
    whole = plain(api.client.vector_stores.retrieve(store.id))
    assert (whole["file_counts"], whole["status"]) == (counts(completed=1), "completed")
    assert whole["usage_bytes"] == done["usage_bytes"]
    changed = plain(files.update(file.id, attributes={"topic": "water"}, **where))
    assert changed == done | {"attributes": {"topic": "water"}}
    content = api.ask("GET", f"/vector_stores/{store.id}/files/{file.id}/content").json
    assert "Danube" in "".join(part["text"] for part in content["data"])
    assert (content["has_more"], content["next_page"]) == (False, None)
    wanted = {"id": file.id, "object": "vector_store.file.deleted", "deleted": True}
    assert plain(files.delete(file.id, **where)) == wanted
    assert api.ask("GET", f"/vector_stores/{store.id}/files/{file.id}").status == 404
    assert api.client.files.retrieve(file.id).id == file.id
    assert plain(api.client.vector_stores.retrieve(store.id))["file_counts"] == counts()


def test_a_search_finds_the_passage(api: Api, file: Any) -> None:
    store = filled(api, file, attributes={"topic": "rivers", "year": 2024})
    path = f"/vector_stores/{store.id}/search"
    ranking = {"ranker": "auto", "score_threshold": 0.0}
    body = {"query": "Which river flows through Vienna?", "max_num_results": 3, "rewrite_query": False}
    found = api.ask("POST", path, body | {"ranking_options": ranking}).json
    assert (found["search_query"], found["has_more"], found["next_page"]) == ([body["query"]], False, None)
    best = found["data"][0]
    assert (best["file_id"], best["filename"]) == (file.id, "rivers.md")
    assert best["attributes"] == {"topic": "rivers", "year": 2024}
    assert "Danube" in best["content"][0]["text"]
    page = api.client.vector_stores.search(store.id, query=["Thames", "Danube"])
    assert {one.file_id for one in page} == {file.id}
    is_topic = {"type": "eq", "key": "topic", "value": "rivers"}
    newer = {"type": "gte", "key": "year", "value": 2025}
    for filters, count in ((is_topic, 1), (newer, 0), ({"type": "and", "filters": [is_topic, newer]}, 0),
                           ({"type": "or", "filters": [is_topic, newer]}, 1)):  # fmt: skip
        hits = api.ask("POST", path, body | {"filters": filters}).json["data"]
        assert len({one["file_id"] for one in hits}) == count, filters


def test_a_batch_of_files(api: Api, file: Any) -> None:
    before = api.now()
    other = api.client.files.create(file=("lakes.txt", b"Lake Geneva is deep."), purpose="assistants")
    store = api.client.vector_stores.create()
    batches = api.client.vector_stores.file_batches
    made = plain(
        batches.create(store.id, file_ids=[file.id, other.id], attributes={"n": 1}, chunking_strategy=STATIC)
    )
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert (made["vector_store_id"], made["file_counts"]["total"]) == (store.id, 2)
    assert made["status"] in ("in_progress", "completed")
    done = plain(batches.poll(made["id"], vector_store_id=store.id, **QUICK))
    assert (done["status"], done["file_counts"]) == ("completed", counts(completed=2))
    changes = ("status", "file_counts")
    assert {k: v for k, v in made.items() if k not in changes} == {k: v for k, v in done.items() if k not in changes}
    assert plain(batches.retrieve(made["id"], vector_store_id=store.id)) == done
    listed = plain(batches.list_files(made["id"], vector_store_id=store.id, order="asc", filter="completed", limit=5))
    assert [one["id"] for one in listed["data"]] == [file.id, other.id]
    assert [one["attributes"] for one in listed["data"]] == [{"n": 1}] * 2
    assert listed["data"] == plain(api.client.vector_stores.files.list(store.id, order="asc"))["data"]
    entries = {"files": [{"file_id": file.id, "attributes": {"a": "b"}}]}
    again = api.ask("POST", f"/vector_stores/{store.id}/file_batches", entries).json
    batches.poll(again["id"], vector_store_id=store.id, **QUICK)
    assert api.client.vector_stores.files.retrieve(file.id, vector_store_id=store.id).attributes == {"a": "b"}
    api.client.files.delete(other.id)
    left = [one.id for one in api.client.vector_stores.files.list(store.id)]
    assert left == [file.id]


def test_a_batch_that_has_ended_is_not_cancelled(api: Api, file: Any) -> None:
    store = api.client.vector_stores.create()
    made = api.client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file.id], **QUICK)
    assert api.ask("POST", f"/vector_stores/{store.id}/file_batches/{made.id}/cancel").status == 400
    end = plain(api.client.vector_stores.file_batches.retrieve(made.id, vector_store_id=store.id))
    assert (end["status"], end["file_counts"]) == ("completed", counts(completed=1))


def test_a_store_begins_with_files(api: Api, file: Any) -> None:
    store = api.client.vector_stores.create(file_ids=[file.id], chunking_strategy=STATIC)
    assert store.file_counts.total == 1
    api.client.vector_stores.files.poll(file.id, vector_store_id=store.id, **QUICK)
    found = plain(api.client.vector_stores.files.retrieve(file.id, vector_store_id=store.id))
    assert (found["status"], found["chunking_strategy"]) == ("completed", STATIC)


LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("number too large", {"expires_after": WEEK | {"days": 366}},
     {"path": "expires_after.days", "kind": "integer", "most": 365, "value": 366}),
    ("number too small", {"expires_after": WEEK | {"days": 0}},
     {"path": "expires_after.days", "kind": "integer", "least": 1, "value": 0}),
    ("value", {"expires_after": WEEK | {"anchor": "now"}}, {"path": "expires_after.anchor", "value": "now"}),
    ("array too long", {"file_ids": ["file-x"] * 501}, {"path": "file_ids", "most": 500, "length": 501}),
    ("too many properties", {"metadata": {str(n): "" for n in range(17)}},
     {"path": "metadata", "most": 16, "length": 17}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "values"), LIMITS)
def test_a_store_beyond_a_limit_is_refused_by_name(
    api: Api, name: str, body: dict[str, Any], values: dict[str, Any]
) -> None:
    api.refused(name, lambda: api.ask("POST", "/vector_stores", body), **values)
