"""Stored objects as answers: one of them, a page of them, or the news that one is gone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec

from oxillama.server.wire.json import json_response
from oxillama.server.wire.pagination import list_object, page, read_list_query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quart import Response

    from oxillama.assistants.records.types import Record
    from oxillama.concurrency import Offload

Given = ParamSpec("Given")


async def stored(
    in_thread: Offload, call: Callable[Given, Record], *args: Given.args, **changes: Given.kwargs
) -> Response:
    """The object that `call` reads or writes, in a worker thread."""
    return json_response((await in_thread(partial(call, *args, **changes))).to_wire())


async def paged(in_thread: Offload, items: Callable[[], Sequence[Record]]) -> Response:
    """The page that the request asks for of what `items` returns (oldest first), read and cut in a worker thread."""
    query = read_list_query()

    def cut() -> tuple[list[Record], bool]:
        return page(items(), query, key=lambda record: record.id)

    records, has_more = await in_thread(cut)
    wire: list[dict[str, Any]] = [record.to_wire() for record in records]
    return json_response(list_object(wire, has_more, key=lambda item: str(item["id"])))


def deleted(id_: str, kind: str) -> Response:
    """What the API says about a deleted object of this kind."""
    return json_response({"id": id_, "object": f"{kind}.deleted", "deleted": True})
