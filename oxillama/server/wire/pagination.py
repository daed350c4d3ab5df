"""Cursor pages of lists: `limit`, `order`, `after`, `before`, as official clients walk them.

Clients page on the id of the last item they were given and stop on `has_more`, so the order of `data` is the order of
the pages. Items have one-second times; callers hand them over in order of insertion, which makes pages stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from quart import request

from oxillama.server.wire.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

Order = Literal["asc", "desc"]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a list that was asked for."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


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


def page(items: Sequence[T], query: ListQuery, *, key: Callable[[T], str]) -> tuple[list[T], bool]:
    """The asked-for part of `items` (oldest first, `key` gives an item's id), and whether more follow it.

    `after` and `before` may bound the page together; `before` alone gives the page that ends just before that item.
    Raises APIError 400 for a cursor that is no item of the list.
    """
    ordered = list(items) if query.order == "asc" else list(reversed(items))
    places = {key(item): at for at, item in enumerate(ordered)}
    first = _place(places, query.after, "after") + 1 if query.after is not None else 0
    last = _place(places, query.before, "before") if query.before is not None else len(ordered)
    window = ordered[first:last]
    if query.before is not None and query.after is None:
        return window[-query.limit :], len(window) > query.limit
    return window[: query.limit], len(window) > query.limit


def _place(places: dict[str, int], cursor: str, name: str) -> int:
    at = places.get(cursor)
    if at is None:
        message = f"Invalid '{name}': no item with id '{cursor[:100]}' in this list."
        raise bad_request(message, param=name, code="invalid_value")
    return at


def list_object(data: Sequence[Any], has_more: bool, *, key: Callable[[Any], str]) -> dict[str, Any]:
    """The list envelope around the finished items of one page."""
    return {
        "object": "list",
        "data": data,
        "first_id": key(data[0]) if data else None,
        "last_id": key(data[-1]) if data else None,
        "has_more": has_more,
    }
