"""The search over vector stores: rankings, options, filters, other models, expiry."""

from __future__ import annotations

import os
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import trio

from oxillama.engine.api.embedding import Embedder
from oxillama.errors import GenerationError, ObjectNotFoundError, StateConflictError, StoreError
from oxillama.files.records import StoredFile
from oxillama.files.service import Files, open_files
from oxillama.storage.data_dir import open_data_dir
from oxillama.storage.ids import new_id
from oxillama.vector_stores.filters import Filter
from oxillama.vector_stores.index import Ranked, Vectors, open_index
from oxillama.vector_stores.passages import Passage, SearchOptions
from oxillama.vector_stores.ranking import fused
from oxillama.vector_stores.records import Chunking, VectorStore, VectorStoreFile
from oxillama.vector_stores.service import VectorStores, open_vector_stores
from oxillama.vector_stores.terms import MOST_TERMS, indexed, query_terms
from tests.support.fake_engine import FakeEngine

NOT_ONE = {"type": "ne", "key": "a", "value": 1}
PATIENT = SearchOptions(patience=60.0)


class Place:
    """The vector stores of a folder, with an engine."""

    def __init__(self, files: Files, stores: VectorStores, engine: FakeEngine) -> None:
        self.files = files
        self.stores = stores
        self.engine = engine

    def file(self, text: str, **fields: Any) -> VectorStoreFile:
        file_id, data = new_id("file", separator="-"), text.encode()
        content = self.files.files.begin(file_id)
        content.write(data)
        stored = StoredFile(id=file_id, created_at=1, filename="a.txt", purpose="assistants", bytes=len(data))
        self.files.files.finish(stored, content)
        return VectorStoreFile(id=file_id, created_at=1, **fields)

    async def store(self, *files: VectorStoreFile, days: int | None = None) -> str:
        now = self.stores.records.now()
        store = VectorStore(id=new_id("vs"), created_at=now, last_active_at=now, expires_after_days=days)
        return (await self.stores.create(store, files)).id

    async def search(self, store_id: str, query: str, options: SearchOptions = PATIENT) -> list[Passage]:
        with trio.fail_after(60):
            return await self.stores.search([store_id], query, options)


async def opened(stack: AsyncExitStack, folder: Path, engine: FakeEngine | None = None, **clock: Any) -> Place:
    engine = engine or FakeEngine()
    data = await stack.enter_async_context(open_data_dir(folder))
    files = await stack.enter_async_context(open_files(data))
    return Place(files, await stack.enter_async_context(open_vector_stores(data, files.files, engine, **clock)), engine)


def embedding(name: str = "one") -> FakeEngine:
    return FakeEngine(model_name=name, embedder=Embedder(pooling="mean", width=64, max_tokens=300))


async def test_the_best_passages_of_several_stores_come_first(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        good, poor = place.file("Herons catch eels in shallow rivers."), place.file("Rivers are long.")
        first, second = await place.store(poor, good), await place.store(good)
        found = await place.stores.search([first, second, first], "Where do herons catch eels?", PATIENT)
        assert [one.file_id for one in found] == [good.id]  # once, though two stores have it
        found = await place.search(first, "herons rivers")
        assert [one.file_id for one in found] == [good.id, poor.id]
        assert 1 >= found[0].score > found[1].score > 0
        threshold = SearchOptions(score_threshold=(found[0].score + found[1].score) / 2)
        assert [one.file_id for one in await place.search(first, "herons rivers", threshold)] == [good.id]
        assert len(await place.search(first, "herons rivers", SearchOptions(max_num_results=1))) == 1
        assert await place.search(first, "giraffe") == await place.search(first, "?!") == []
        with pytest.raises(ObjectNotFoundError, match="No vector store"):
            await place.search("vs_" + "x" * 24, "a")


async def test_vectors_find_what_shares_no_word(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path, embedding())
        files = [place.file("aaaa bbbb " * 200, chunking=Chunking(400, 0)), place.file("zzzz yyyy")]
        store = await place.store(*files)
        found = await place.search(store, "aaab bbba")
        assert found[0].file_id == files[0].id
        assert all(len(ids) <= 300 for request in place.engine.embedded for ids in request.texts)
        with open_index(place.stores.records.index_path(store)) as index:
            assert index.file_ids() == {file.id for file in files}
            assert index.without_vectors("one mean 64") == set()


async def test_another_model_gives_files_its_vectors_after_the_first_search(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path, embedding("one"))
        store = await place.store(place.file("aaaa bbbb"))
        assert len(await place.search(store, "aaab")) == 1
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path, embedding("two"))
        assert await place.search(store, "aaab") == []
        with trio.fail_after(60):
            while not await place.search(store, "aaab"):
                await trio.sleep(0.01)
        assert len(place.engine.embedded) >= 3  # two queries, the passage once
        assert sum(len(request.texts[0]) == len("aaaa bbbb") + 1 for request in place.engine.embedded) == 1


async def test_a_model_that_fails_leaves_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(self: FakeEngine, request: object) -> Any:
        raise GenerationError("the scripted failure")

    monkeypatch.setattr(FakeEngine, "embed", failing)
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path, embedding())
        assert len(await place.search(await place.store(place.file("An owl.")), "owl")) == 1


async def test_a_bug_in_reading_a_file_fails_that_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(descriptor: int, *_: object) -> Any:
        os.close(descriptor)
        raise ZeroDivisionError

    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("oxillama.vector_stores.ingestion.extract", broken)
            bad = place.file("An owl.")
            store = await place.store(bad)
            assert await place.search(store, "owl") == []
        error = place.stores.records.file(store, bad.id).last_error
        assert error is not None
        assert error.code == "server_error"
        await place.stores.add(store, [place.file("Another owl.")])
        assert len(await place.search(store, "owl")) == 1


async def test_a_file_whose_record_is_damaged_fails_and_others_are_read(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        bad, good = place.file("An owl."), place.file("Another owl.")
        store = await place.store()
        with place.stores.records._database.change() as connection:
            connection.execute("UPDATE files SET crc32 = 0 WHERE id = ?", (bad.id,))
            place.stores.records.add(store, [bad])
        place.stores._ingestion.add(place.stores.records.unfinished())
        await place.stores.add(store, [good])
        assert [one.file_id for one in await place.search(store, "owl")] == [good.id]
        error = place.stores.records.file(store, bad.id).last_error
        assert error is not None
        assert (error.code, error.message) == ("server_error", "The stored file is damaged.")


async def test_a_file_whose_record_is_damaged_later_stays_and_keeps_nothing_from_others(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        bad, gone = place.file("An owl."), place.file("Another owl.")
        store = await place.store(bad, gone)
        assert len(await place.search(store, "owl")) == 2
        with place.stores.records._database.change() as connection:
            connection.execute("UPDATE files SET crc32 = 0 WHERE id = ?", (bad.id,))
        place.files.files.delete(gone.id)
        place.stores.sweep()
        assert [(one.file_id, one.filename) for one in await place.search(store, "owl")] == [(bad.id, "")]


async def test_a_store_that_fails_twice_does_not_end_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxillama.vector_stores.ingestion.RETRY_S", 0.0)
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        store, real, failures = await place.store(), place.stores.records.file, [StoreError("I/O"), StoreError("I/O")]

        def failing(store_id: str, file_id: str) -> VectorStoreFile:
            if failures:
                raise failures.pop()
            return real(store_id, file_id)

        monkeypatch.setattr(place.stores.records, "file", failing)
        file = place.file("An owl.")
        await place.stores.add(store, [file])
        assert [one.file_id for one in await place.search(store, "owl")] == [file.id]
        assert not failures


async def test_files_fail_for_good_where_sqlite_has_no_full_text_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Without(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if "fts5" in sql:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(sql, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *place, **how: connect(*place, **{"factory": Without} | how))
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        file = place.file("An owl.")
        store = await place.store(file)
        assert await place.search(store, "owl") == []
        read = place.stores.records.file(store, file.id)
        assert read.status == "failed"
        assert read.last_error is not None
        assert "built without" in read.last_error.message
    assert [record.levelname for record in caplog.records if "FTS5" in record.message] == ["WARNING"]


async def test_an_expired_store_is_not_searched_and_gives_its_index_back(tmp_path: Path) -> None:
    now = 1000.0
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path, clock=lambda: now)
        store = await place.store(place.file("An owl."), days=1)
        assert len(await place.search(store, "owl")) == 1
        index = Path(place.stores.records.index_path(store))
        now += 86_400
        with pytest.raises(StateConflictError, match="is expired"):
            await place.search(store, "owl")
        place.stores.sweep()
        assert not index.exists()
        place.stores.records.update(store, last_active_at=int(now))
        assert await place.search(store, "owl") == []  # its files are read again
        assert len(await place.search(store, "owl")) == 1


async def test_a_file_that_is_gone_is_swept_out(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = await opened(stack, tmp_path)
        file = place.file("An owl.")
        store = await place.store(file)
        assert len(await place.search(store, "owl")) == 1
        place.files.files.delete(file.id)
        place.stores.sweep()
        assert place.stores.records.files(store) == []
        with open_index(place.stores.records.index_path(store)) as index:
            assert index.file_ids() == set()


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ({"type": "eq", "key": "a", "value": 1}, "n"),
        ({"type": "eq", "key": "a", "value": True}, "b"),
        ({"type": "eq", "key": "a", "value": "1"}, "s"),
        ({"type": "ne", "key": "a", "value": 1}, "bs-"),
        ({"type": "gt", "key": "a", "value": 0.5}, "n"),
        ({"type": "gte", "key": "a", "value": 1}, "n"),
        ({"type": "lt", "key": "a", "value": "2"}, "s"),
        ({"type": "lte", "key": "a", "value": 0}, ""),
        ({"type": "in", "key": "a", "value": [1, "1"]}, "ns"),
        ({"type": "nin", "key": "a", "value": [1, "1"]}, "b-"),
        ({"type": "and", "filters": [NOT_ONE, {"type": "ne", "key": "a", "value": "1"}]}, "b-"),
        ({"type": "or", "filters": [{"type": "eq", "key": "a", "value": 1}, {"type": "and", "filters": []}]}, "nbs-"),
    ],
)  # fmt: skip
def test_filters(condition: dict[str, Any], passing: str) -> None:
    files: dict[str, dict[str, Any]] = {"n": {"a": 1}, "b": {"a": True}, "s": {"a": "1"}, "-": {}}
    wanted = msgspec.convert(condition, type=Filter)
    assert "".join(name for name, attributes in files.items() if wanted.accepts(attributes)) == passing


def test_words_of_names_and_of_scripts_without_spaces_are_found() -> None:
    assert query_terms("How is maxTokens set?") == ["maxtokens", "max", "tokens", "set"]
    assert query_terms("to be") == ["to", "be"]
    assert query_terms("東京都") == ["東京", "京都"]
    assert indexed("HTTPServer") == "HTTPServer HTTP Server"
    assert len(query_terms(" ".join(f"w{n}" for n in range(500)))) == MOST_TERMS


def test_a_passage_that_both_rankings_have_comes_before_others() -> None:
    words, vectors = [Ranked(1, 0.5), Ranked(2, 0.5)], [Ranked(3, 0.5), Ranked(2, 0.5)]
    assert fused([words, vectors])[0][0] == 2
    assert fused([[Ranked(7, 1.0)], [Ranked(7, 1.0)]]) == [(7, 1.0)]
    assert fused([[], []]) == []


def test_passages_of_any_number_of_files_are_ranked_by_their_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(300, 8)).astype(np.float32)
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    with open_index(str(tmp_path / "index.db")) as index:
        for at in range(30):
            rows = data[10 * at : 10 * at + 10].astype(np.float16)
            vectors = Vectors("m", np.arange(10, dtype=np.int32), rows)
            index.replace(f"f{at}", "x" * 10, [(n, n + 1) for n in range(10)], vectors)
        names = [f"f{at}" for at in range(30)]
        found = index.by_vector(data[123], "m", names, 5)
        best = np.argsort(-(data.astype(np.float16).astype(np.float32) @ data[123]))[:5]
        places = index.passages([one.row for one in found])
        assert [10 * int(places[one.row].file_id[1:]) + places[one.row].number for one in found] == list(best)
        assert index.by_vector(data[123], "other", names, 5) == []
