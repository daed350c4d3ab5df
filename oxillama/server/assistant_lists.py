"""Pages of stored objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.server.pagination import ListQuery, list_object, page
from oxillama.server.responses import json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quart import Response

    from oxillama.assistants.offload import Offload
    from oxillama.assistants.types import Record


async def paged(in_thread: Offload, items: Callable[[], Sequence[Record]], query: ListQuery) -> Response:
    """One page of what `items` returns (oldest first); reading and cutting happen in a worker thread."""

    def cut() -> tuple[list[Record], bool]:
        return page(items(), query, key=lambda record: record.id)

    records, has_more = await in_thread(cut)
    wire = [record.to_wire() for record in records]
    return json_response(list_object(wire, has_more, key=lambda item: str(item["id"])))
