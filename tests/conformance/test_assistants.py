"""/assistants."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.conformance.client import Api, plain

FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": False,
    },
}
FIELDS: dict[str, Any] = {
    "name": "Guide é 🙂",
    "description": "Knows rivers",
    "instructions": "You are brief.\nVery.",
    "metadata": {"team": "maps", "empty": ""},
    "temperature": 0.5,
    "top_p": 0.25,
    "response_format": {"type": "text"},
}


def test_what_is_given_is_kept(api: Api) -> None:
    before = api.now()
    made = plain(api.beta.assistants.create(model=api.model, **FIELDS, extra_body={"reasoning_effort": "low"}))
    assert {key: made[key] for key in FIELDS} == FIELDS
    assert (made["object"], made["model"], made["tools"]) == ("assistant", api.model, [])
    assert made["tool_resources"] in (None, {})
    assert before - 5 <= made["created_at"] <= api.now() + 5
    assert plain(api.beta.assistants.retrieve(made["id"])) == made
    listed = plain(api.beta.assistants.list(limit=1))
    assert listed["data"] == [made]
    assert (listed["first_id"], listed["last_id"]) == (made["id"], made["id"])
    api.beta.assistants.delete(made["id"])


def test_the_defaults(api: Api) -> None:
    made = plain(api.beta.assistants.create(model=api.model))
    nothing = [made[key] for key in ("name", "description", "instructions")]
    assert nothing == [None, None, None]
    assert (made["tools"], made["metadata"], made["temperature"], made["top_p"]) == ([], {}, 1, 1)
    assert made["response_format"] == "auto"
    null = plain(api.beta.assistants.create(model=api.model, name=None, metadata=None, tools=None, temperature=None))
    assert {k: null[k] for k in null if k not in ("id", "created_at")} == {
        k: made[k] for k in made if k not in ("id", "created_at")
    }
    for one in (made, null):
        api.beta.assistants.delete(one["id"])


def test_only_the_given_fields_change_and_metadata_is_replaced(api: Api) -> None:
    made = plain(api.beta.assistants.create(model=api.model, **FIELDS))
    each: tuple[dict[str, Any], ...] = (
        {"name": "Other"}, {"description": "Other"}, {"instructions": "Other"}, {"temperature": 1.5}, {"top_p": 1.0},
        {"metadata": {"a": "b"}}, {"metadata": {}}, {"response_format": "auto"}, {"model": api.model}, {"tools": []},
        {"tool_resources": {}}, {"reasoning_effort": "high"},
    )  # fmt: skip
    for changes in each:
        changed = plain(api.beta.assistants.update(made["id"], extra_body=changes))
        same = {key: value for key, value in made.items() if key not in changes}
        assert {key: value for key, value in changed.items() if key not in changes} == same
        assert all(changed[key] == value for key, value in changes.items() if key != "tool_resources"), changes
        assert plain(api.beta.assistants.retrieve(made["id"])) == changed
        made = changed
    api.beta.assistants.delete(made["id"])


def test_a_deleted_assistant_is_gone(api: Api) -> None:
    made = api.assistant()
    assert plain(api.beta.assistants.delete(made.id)) == {
        "id": made.id,
        "object": "assistant.deleted",
        "deleted": True,
    }
    for call in (api.beta.assistants.retrieve, api.beta.assistants.update, api.beta.assistants.delete):
        api.refused("assistant not found", partial(call, made.id), id=made.id)
    thread = api.thread("Hello")
    api.refused(
        "assistant not found",
        lambda: api.beta.threads.runs.create(thread.id, assistant_id=made.id),
        id=made.id,
    )
    assert made.id not in [one.id for one in api.beta.assistants.list(limit=100).data]


LIMITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("missing", {}, {"path": "model"}),
    ("type", {"model": 3}, {"path": "model", "want": "a string", "got": "an integer"}),
    ("type", {"metadata": {"a": 1}}, {"path": "metadata.a", "want": "a string", "got": "an integer"}),
    ("type", {"tools": {}}, {"path": "tools", "want": "an array", "got": "an object"}),
    ("string too long", {"name": "x" * 257}, {"path": "name", "most": 256, "length": 257}),
    ("string too long", {"description": "x" * 513}, {"path": "description", "most": 512, "length": 513}),
    ("string too long", {"instructions": "x" * 256_001}, {"path": "instructions", "most": 256_000, "length": 256_001}),
    ("string too long", {"metadata": {"k": "v" * 513}}, {"path": "metadata.k", "most": 512, "length": 513}),
    ("too many properties", {"metadata": {str(n): "" for n in range(17)}},
     {"path": "metadata", "most": 16, "length": 17}),
    ("array too long", {"tools": [FUNCTION] * 129}, {"path": "tools", "most": 128, "length": 129}),
    ("value", {"tools": [{"type": "browser"}]}, {"path": "tools[0].type", "value": "browser"}),
    ("missing", {"tools": [{"type": "function"}]}, {"path": "tools[0].function"}),
    ("missing", {"tools": [{"type": "function", "function": {}}]}, {"path": "tools[0].function.name"}),
    ("number too small", {"temperature": -1}, {"path": "temperature", "kind": "decimal", "least": 0, "value": -1}),
    ("number too large", {"temperature": 2.5}, {"path": "temperature", "kind": "decimal", "most": 2, "value": 2.5}),
    ("number too small", {"top_p": -1}, {"path": "top_p", "kind": "decimal", "least": 0, "value": -1}),
    ("number too large", {"top_p": 2}, {"path": "top_p", "kind": "decimal", "most": 1, "value": 2}),
    ("missing", {"response_format": {"type": "json_schema"}}, {"path": "response_format.json_schema"}),
    ("value", {"reasoning_effort": "enormous"}, {"path": "reasoning_effort", "value": "enormous"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "values"), LIMITS)
def test_a_value_beyond_its_limit_is_refused_by_name(
    api: Api, name: str, body: dict[str, Any], values: dict[str, Any]
) -> None:
    body = body if values["path"] == "model" else {"model": api.model} | body
    api.refused(name, lambda: api.ask("POST", "/assistants", body), **values)


def test_what_just_fits_is_taken(api: Api) -> None:
    fields = {"name": "n" * 256, "description": "d" * 512, "instructions": "i" * 256_000}
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    made = plain(api.assistant(**fields, metadata=metadata, temperature=2.0, top_p=0.0))
    assert {key: made[key] for key in fields} == fields
    assert (made["metadata"], made["temperature"], made["top_p"]) == (metadata, 2, 0)
    api.beta.assistants.delete(made["id"])


def test_the_model_must_exist(api: Api) -> None:
    made = api.assistant()
    for path in ("/assistants", f"/assistants/{made.id}"):
        api.refused("model not found", partial(api.ask, "POST", path, {"model": "none-such"}),
                    model="none-such")  # fmt: skip
    api.beta.assistants.delete(made.id)
