"""Pages of lists: every list is walked in both orders and directions, as the client does and by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.conformance.client import Api


def assistants(api: Api) -> tuple[str, list[str]]:
    return "/assistants", [api.assistant().id for _ in range(7)]


def messages(api: Api) -> tuple[str, list[str]]:
    thread = api.thread()
    made = [api.beta.threads.messages.create(thread.id, role="user", content=str(n)).id for n in range(7)]
    return f"/threads/{thread.id}/messages", made


def files(api: Api) -> tuple[str, list[str]]:
    made = [api.client.files.create(file=("a.txt", b"x"), purpose="evals").id for _ in range(7)]
    return "/files?purpose=evals", made


LISTS = [assistants, messages, files]


def walked(api: Api, path: str, cursor: str, **query: str) -> list[str]:
    """The ids that are found from page to page, in the order in which they are found."""
    found: list[str] = []
    for _ in range(20):
        joined = "&".join(f"{key}={value}" for key, value in query.items())
        page = api.ask("GET", f"{path}{'&' if '?' in path else '?'}{joined}").json
        ids = [item["id"] for item in page["data"]]
        assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        assert len(ids) <= int(query["limit"])
        found = ids + found if cursor == "before" else found + ids
        if not page["has_more"]:
            return found
        query[cursor] = ids[-1] if cursor == "after" else ids[0]
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("make", LISTS)
def test_a_list_is_walked(api: Api, make: Callable[[Api], tuple[str, list[str]]]) -> None:
    path, made = make(api)
    first, last = made[0], made[-1]
    for limit in ("1", "3", "7"):
        after = walked(api, path, "after", order="asc", limit=limit)
        assert after[-7:] == made
        downwards = walked(api, path, "after", order="desc", limit=limit)
        assert downwards[:7] == made[::-1]
        assert walked(api, path, "after", order="asc", limit=limit, after=first) == made[1:]
        if make is not files:
            assert walked(api, path, "before", order="asc", limit=limit, before=last)[-6:] == made[:-1]
            assert walked(api, path, "before", order="desc", limit=limit, before=first)[-6:] == made[:0:-1]
    default = api.ask("GET", path).json
    assert [item["id"] for item in default["data"]][:7] == made[::-1]
    empty = walked(api, path, "after", order="asc", limit="5", after=last)
    assert empty == []
    for each in made:
        if make is not messages:
            api.ask("DELETE", f"{path.partition('?')[0]}/{each}")


def test_the_client_walks_all_pages(api: Api) -> None:
    thread = api.thread(*map(str, range(45)))
    texts = [m.content[0].text.value for m in api.beta.threads.messages.list(thread.id)]
    assert texts == [str(n) for n in reversed(range(45))]
    assert len(api.beta.threads.messages.list(thread.id).data) == 20
    texts = [m.content[0].text.value for m in api.beta.threads.messages.list(thread.id, order="asc", limit=7)]
    assert texts == [str(n) for n in range(45)]


BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("number too small", "limit=0", {"path": "limit", "kind": "integer", "least": 1, "value": 0}),
    ("number too large", "limit=101", {"path": "limit", "kind": "integer", "most": 100, "value": 101}),
    ("type", "limit=many", {"path": "limit", "want": "an integer", "got": "a string"}),
    ("value", "order=up", {"path": "order", "value": "up"}),
]


@pytest.mark.parametrize(("name", "query", "values"), BAD)
def test_a_page_that_cannot_be_is_refused_by_name(api: Api, name: str, query: str, values: dict[str, Any]) -> None:
    thread = api.thread("x")
    for path in ("/assistants", f"/threads/{thread.id}/messages", f"/threads/{thread.id}/runs"):
        api.refused(name, partial(api.ask, "GET", f"{path}?{query}"), **values)


def test_an_unknown_cursor_is_an_error_that_names_it(api: Api) -> None:
    thread = api.thread("x")
    for cursor in ("after", "before"):
        answer = api.ask("GET", f"/threads/{thread.id}/messages?{cursor}=msg_unknown")
        assert answer.status in (400, 404)
        assert "msg_unknown" in answer.json["error"]["message"]
