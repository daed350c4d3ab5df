"""Checks with the official client, as an application would use it: python scenario.py BASE_URL [CHECK…]

Uses only functions that every release line of the client since 1.109 has, so that one file tests all of them.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI

warnings.filterwarnings("ignore", category=DeprecationWarning)  # the client deprecates the Assistants API

MESSAGES = [{"role": "user", "content": "Tell me a story about a red ball."}]


def refusal(call: Callable[[], object]) -> openai.APIStatusError:
    """The error that a request must raise."""
    try:
        answer = call()
    except openai.APIStatusError as error:
        return error
    raise AssertionError(f"accepted: {answer}")


def models(client: Any, model: str) -> None:
    listed = [m.id for m in client.models.list()]
    assert model in listed, listed
    assert client.models.retrieve(model).object == "model"


def unknown_model(client: Any, model: str) -> None:
    error = refusal(lambda: client.chat.completions.create(model="no-such-model", messages=MESSAGES, max_tokens=1))
    assert isinstance(error, openai.NotFoundError)
    assert error.code == "model_not_found", error.body


def chat(client: Any, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=12, temperature=0)
    choice = answer.choices[0]
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens <= 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    again = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=12, temperature=0)
    assert again.choices[0].message.content == choice.message.content, "greedy answers differ"


def chat_stream(client: Any, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=12, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=MESSAGES,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    with_choice = [c for c in chunks if c.choices]
    text = "".join(c.choices[0].delta.content or "" for c in with_choice)
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    assert with_choice[0].choices[0].delta.role == "assistant"
    assert with_choice[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({c.id for c in chunks}) == 1


def chat_choices(client: Any, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4, n=2, seed=1, logprobs=True)
    assert [c.index for c in answer.choices] == [0, 1]
    assert all(c.logprobs.content for c in answer.choices)


def completion(client: Any, model: str) -> None:
    answer = client.completions.create(model=model, prompt="Once upon a time", max_tokens=8, temperature=0)
    assert answer.object == "text_completion"
    assert answer.choices[0].text
    assert answer.usage.completion_tokens == 8
    pieces = client.completions.create(model=model, prompt="Once upon a time", max_tokens=8, temperature=0, stream=True)
    assert "".join(p.choices[0].text for p in pieces if p.choices) == answer.choices[0].text


def invalid(client: Any, model: str) -> None:
    error = refusal(lambda: client.chat.completions.create(model=model, messages=MESSAGES, temperature=-1))
    assert isinstance(error, openai.BadRequestError)
    assert error.param == "temperature", error.body


def run_create_and_poll(client: Any, model: str) -> None:
    beta = client.beta
    assistant = beta.assistants.create(model=model, instructions="You tell stories.")
    thread = beta.threads.create()
    beta.threads.messages.create(thread_id=thread.id, role="user", content="Tell me a story.")
    run = beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=256, temperature=0
    )
    assert run.status in ("completed", "incomplete"), (run.status, run.last_error)
    messages = list(beta.threads.messages.list(thread_id=thread.id))
    assert [m.role for m in messages] == ["assistant", "user"]
    assert messages[0].run_id == run.id
    steps = list(beta.threads.runs.steps.list(run_id=run.id, thread_id=thread.id))
    assert [s.type for s in steps] == ["message_creation"]
    assert steps[0].step_details.message_creation.message_id == messages[0].id
    assert beta.threads.runs.retrieve(run.id, thread_id=thread.id).status == run.status
    assert beta.threads.retrieve(thread.id).id == thread.id


def run_stream(client: Any, model: str) -> None:
    beta = client.beta
    assistant = beta.assistants.create(model=model)
    thread = beta.threads.create(messages=[{"role": "user", "content": "Tell me a story."}])
    names: list[str] = []
    with beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=256, temperature=0
    ) as stream:
        names += [event.event for event in stream]
        text = "".join(part.text.value for m in stream.get_final_messages() for part in m.content)
    assert names[0] == "thread.run.created", names[:3]
    assert names[-1] in ("thread.run.completed", "thread.run.incomplete"), names[-3:]
    assert names.count("thread.message.delta") >= 2, "the text came in one piece"
    stored = beta.threads.messages.list(thread_id=thread.id).data[0]
    assert stored.content[0].text.value == text


TOOL = {  # small, for contexts of 512 tokens that are hardly more than letters
    "type": "function",
    "function": {
        "name": "go",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "boolean"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
SHAPE = {"properties": {"how": {"enum": ["far", "high"]}, "again": {"type": "boolean"}}, "required": ["how", "again"]}


def tools(client: Any, model: str) -> None:
    wanted = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "tools": [TOOL], "temperature": 0}
    wanted["parallel_tool_calls"] = False
    answer = client.chat.completions.create(**wanted, tool_choice="required")
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls", choice
    assert choice.message.content is None, choice
    (call,) = choice.message.tool_calls
    assert call.function.name == "go"
    assert json.loads(call.function.arguments)["a"] in (True, False), call
    named = {"type": "function", "function": {"name": "go"}}
    arguments, ids, reasons = "", [], []
    for chunk in client.chat.completions.create(**wanted, tool_choice=named, stream=True):
        reasons.append(chunk.choices[0].finish_reason)
        for delta in chunk.choices[0].delta.tool_calls or []:
            ids += [delta.id] if delta.id else []
            arguments += delta.function.arguments or ""
    assert arguments == call.function.arguments
    assert len(ids) == 1, ids
    assert reasons[-1] == "tool_calls", reasons


def structured(client: Any, model: str) -> None:
    schema = {"type": "object", "additionalProperties": False} | SHAPE
    form = {"type": "json_schema", "json_schema": {"name": "throw", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(model=model, messages=MESSAGES, response_format=form, max_tokens=60)
    assert answer.choices[0].finish_reason == "stop", answer
    said = json.loads(answer.choices[0].message.content)
    assert (said["how"] in ("far", "high"), said["again"] in (True, False)) == (True, True), said
    wrong = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no such type"}}}
    error = refusal(
        lambda: client.chat.completions.create(model=model, messages=MESSAGES, response_format=wrong, max_tokens=1)
    )
    assert isinstance(error, openai.BadRequestError)
    assert error.param == "response_format", error.body


def vector_stores(client: Any, model: str) -> None:
    stores = client.vector_stores
    store = stores.create(name="Waters", expires_after={"anchor": "last_active_at", "days": 2})
    file = stores.files.upload_and_poll(vector_store_id=store.id, file=("a.txt", b"The Danube rises in a forest."))
    assert (file.status, file.last_error) == ("completed", None), file
    texts = [("b.md", b"# Lakes"), ("c.csv", b"name,depth\nConstance,251\n")]
    batch = stores.file_batches.upload_and_poll(store.id, files=texts)
    assert (batch.status, batch.file_counts.completed) == ("completed", 2), batch
    stores.files.update(file.id, vector_store_id=store.id, attributes={"kind": "river", "year": 1999})
    same = {"type": "eq", "key": "kind", "value": "river"}
    found = stores.search(store.id, query="Where does the Danube rise?", filters=same, max_num_results=3).data
    assert [(one.file_id, one.filename) for one in found] == [(file.id, "a.txt")], found
    assert "Danube" in found[0].content[0].text
    [whole] = stores.files.content(file.id, vector_store_id=store.id).data
    assert whole.text == found[0].content[0].text, whole
    listed = [one.id for one in stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=1)]
    assert len(listed) == 2, listed
    assert [one.id for one in stores.files.list(store.id, filter="completed", order="asc")] == [file.id, *listed[::-1]]
    store = stores.update(store.id, metadata={"a": "b"})
    assert (store.status, store.file_counts.total, store.metadata) == ("completed", 3, {"a": "b"}), store
    assert stores.files.delete(file.id, vector_store_id=store.id).deleted
    assert stores.delete(store.id).deleted
    assert isinstance(refusal(lambda: stores.retrieve(store.id)), openai.NotFoundError)


CHECKS: dict[str, Callable[[OpenAI, str], None]] = {
    check.__name__: check
    for check in (
        models, unknown_model, chat, chat_stream, chat_choices, tools, structured, completion, invalid,
        run_create_and_poll, run_stream, vector_stores,
    )
}  # fmt: skip


def main(base_url: str, *names: str) -> None:
    client = OpenAI(base_url=f"{base_url}/v1", api_key="test", max_retries=0, timeout=120)
    model = client.models.list().data[0].id
    for name in names or CHECKS:
        CHECKS[name](client, model)
        print(f"openai {openai.__version__}: {name} ok", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
