"""Pages of lists, requested as official clients do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from quart import Quart

from oxillama.assistants.records import Assistant
from oxillama.server.apis.assistants.answer import AssistantObject
from oxillama.server.wire.errors import APIError
from oxillama.server.wire.pagination import ListQuery, Page, page, read_list_query, read_page

if TYPE_CHECKING:
    from oxillama.server.wire.pagination import Order

ITEMS = [f"item_{n:03}" for n in range(250)]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 20, 100, 249, 250, 251])
def test_walking_by_the_last_item_sees_every_item_once_in_order(order: Order, limit: int) -> None:
    seen: list[str] = []
    after, more = None, True
    while more:
        data, more = page(ITEMS, ListQuery(limit=limit, order=order, after=after), key=str)
        seen += data
        after = data[-1]
    assert seen == (ITEMS if order == "asc" else ITEMS[::-1])


def test_before_gives_the_page_that_ends_just_before_the_item() -> None:
    data, more = page(ITEMS, ListQuery(limit=3, order="asc", before="item_010"), key=str)
    assert (data, more) == (["item_007", "item_008", "item_009"], True)
    data, more = page(ITEMS, ListQuery(limit=3, order="asc", before="item_002"), key=str)
    assert (data, more) == (["item_000", "item_001"], False)


def test_after_and_before_bound_the_page_together() -> None:
    query = ListQuery(limit=10, order="asc", after="item_003", before="item_006")
    assert page(ITEMS, query, key=str) == (["item_004", "item_005"], False)


def test_an_unknown_cursor_is_an_error_that_names_it_and_never_an_empty_page() -> None:
    with pytest.raises(APIError, match="item_999") as caught:
        page(ITEMS, ListQuery(after="item_999"), key=str)
    assert (caught.value.status, caught.value.param) == (400, "after")


async def test_an_empty_list_has_null_ids() -> None:
    async with Quart(__name__).test_request_context("/"):
        listed = await read_page(trio.to_thread.run_sync, list[Assistant], AssistantObject.of)
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
