"""/v1/vector_stores through the official client."""

from __future__ import annotations

import openai
import pytest

from tests.server.test_client import client_of
from tests.support.live_server import live_server

RIVERS = "The Danube rises in the Black Forest.\n\nIt flows into the Black Sea after 2850 kilometres.\n"
LAKES = "# Lakes\n\nLake Constance lies between three countries. It is fed by the Rhine.\n"


async def uploaded(client: openai.AsyncOpenAI, name: str, text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return (await client.files.create(file=(name, data), purpose="assistants")).id


async def test_a_file_is_uploaded_read_found_and_detached() -> None:
    async with live_server() as live, client_of(live) as client:
        store = await client.vector_stores.create(name="Waters", metadata={"a": "b"})
        assert (store.name, store.status, store.metadata) == ("Waters", "completed", {"a": "b"})
        assert store.file_counts.total == store.usage_bytes == 0
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("rivers.txt", RIVERS.encode())
        )
        assert (file.status, file.last_error, file.vector_store_id) == ("completed", None, store.id)
        lakes = await client.vector_stores.files.create_and_poll(
            await uploaded(client, "lakes.md", LAKES),
            vector_store_id=store.id,
            attributes={"year": 1999, "kind": "lake"},
        )
        found = await client.vector_stores.search(store.id, query="Where does the Danube rise?")
        assert [(hit.file_id, hit.filename) for hit in found.data] == [(file.id, "rivers.txt")]
        assert found.data[0].content[0].text == RIVERS.strip()
        assert 0.5 < found.data[0].score <= 1
        found = await client.vector_stores.search(store.id, query=["Danube", "Which countries meet at the lake?"])
        assert {hit.file_id: hit.attributes for hit in found.data} == {
            file.id: {},
            lakes.id: {"year": 1999, "kind": "lake"},
        }
        content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
        assert [part.text for part in content.data] == [RIVERS]
        assert (await client.vector_stores.files.delete(file.id, vector_store_id=store.id)).deleted
        assert (await client.vector_stores.search(store.id, query="Danube")).data == []
        assert (await client.files.retrieve(file.id)).filename == "rivers.txt"
        assert (await client.vector_stores.delete(store.id)).object == "vector_store.deleted"
        with pytest.raises(openai.NotFoundError, match="No vector store found"):
            await client.vector_stores.retrieve(store.id)
