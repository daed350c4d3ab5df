"""Pages of lists, requested as official clients do."""

from __future__ import annotations

import msgspec
import pytest
import trio
from quart import Quart

from oxillama.server.apis.assistants.answer import AssistantObject
from oxillama.server.wire.errors import APIError
from oxillama.server.wire.pagination import ListQuery, Page, read_list_query, read_page


async def test_an_empty_list_has_null_ids() -> None:
    async with Quart(__name__).test_request_context("/"):
        listed = await read_page(trio.to_thread.run_sync, lambda wanted: ([], False), AssistantObject.of)
    assert listed == Page(data=[], first_id=None, last_id=None, has_more=False)
    assert msgspec.json.encode(listed) == b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=0", "limit", "integer_below_min_value"),
        ("limit=-1", "limit", "integer_below_min_value"),
        ("limit=101", "limit", "integer_above_max_value"),
        ("limit=x", "limit", "invalid_type"),
        ("limit=1.5", "limit", "invalid_type"),
        ("limit=%D9%A1", "limit", "invalid_type"),
        ("limit=" + "9" * 5000, "limit", "invalid_type"),
        ("order=up", "order", "invalid_value"),
    ],
)
async def test_a_wrong_query_names_the_parameter(query: str, param: str, code: str) -> None:
    async with Quart(__name__).test_request_context(f"/?{query}"):
        with pytest.raises(APIError) as caught:
            read_list_query()
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


async def test_the_query_is_read_with_its_defaults() -> None:
    app = Quart(__name__)
    async with app.test_request_context("/?after=a&before=&limit=7"):
        assert read_list_query(order="asc") == ListQuery(limit=7, order="asc", after="a")
    async with app.test_request_context("/"):
        assert read_list_query() == ListQuery()
