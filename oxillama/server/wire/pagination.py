"""Cursor pages of lists: `limit`, `order`, `after`, `before`, as official clients walk them.

Clients continue from the id of the last item and stop when `has_more` is false, so `data` is in the order of the pages.
Times of items have a resolution of one second. `Collection.cut` orders those of one second by their insertion, which
keeps pages stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import msgspec
from quart import request

from oxillama.server.wire.answer import Answer
from oxillama.server.wire.errors import bad_request
from oxillama.storage.collection import Cut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class Identified(Protocol):
    """An object with an id."""

    @property
    def id(self) -> str: ...


Listed = TypeVar("Listed")
Record = TypeVar("Record", bound=Identified)

Order = Literal["asc", "desc"]


class Page(Answer, Generic[Listed], kw_only=True):
    """One page of a list, with the ids of its first and last item."""

    object: Literal["list"] = "list"
    data: list[Listed]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of a list a request wants."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


LIST_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": ("How many at most.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
    "order": ("`asc` begins with the oldest.", {"enum": ["asc", "desc"], "default": "desc"}),
    "after": ("The id of an item: begin behind it.", {"type": "string"}),
    "before": ("The id of an item: end in front of it.", {"type": "string"}),
}
"""The description and schema of each parameter."""


def read_list_query(*, default_limit: int = 20, max_limit: int = 100, order: Order = "desc") -> ListQuery:
    """The current request's query. Raises APIError 400 that names the parameter."""
    args = request.args
    wanted = args.get("order") or order
    if wanted not in ("asc", "desc"):
        message = f"Invalid value: '{wanted}'. Supported values are: 'asc' and 'desc'."
        raise bad_request(message, param="order", code="invalid_value")
    return ListQuery(
        limit=_limit(args.get("limit"), default_limit, max_limit),
        order="asc" if wanted == "asc" else "desc",
        after=args.get("after") or None,
        before=args.get("before") or None,
    )


def _limit(text: str | None, default: int, maximum: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20):
        message = "Invalid type for 'limit': expected an integer, but got a string instead."
        raise bad_request(message, param="limit", code="invalid_type")
    value = int(text)
    if value < 1:
        message = f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {value} instead."
        raise bad_request(message, param="limit", code="integer_below_min_value")
    if value > maximum:
        message = (
            f"Invalid 'limit': integer above maximum value. Expected a value <= {maximum}, but got {value} instead."
        )
        raise bad_request(message, param="limit", code="integer_above_max_value")
    return value


async def read_page(
    in_thread: Callable[[Callable[[], Page[Listed]]], Awaitable[Page[Listed]]],
    cut: Callable[[Cut], tuple[Sequence[Record], bool]],
    of: Callable[[Record], Listed],
    *,
    tag: str | None = None,
    default_limit: int = 20,
    max_limit: int = 100,
) -> Page[Listed]:
    """The page that the request asks for. `cut` reads it from the store; a worker thread calls it.

    of: makes the answer for a record. tag: only records with it.
    """
    query = read_list_query(default_limit=default_limit, max_limit=max_limit)
    wanted = Cut(query.limit, query.order, query.after, query.before, tag)

    def read() -> Page[Listed]:
        records, has_more = cut(wanted)
        return Page(
            data=[of(record) for record in records],
            first_id=records[0].id if records else None,
            last_id=records[-1].id if records else None,
            has_more=has_more,
        )

    return await in_thread(read)
