"""The server accepts exactly the bodies that /openapi.json describes.

The test sends valid and nearly valid bodies that are generated from the document. Rules between fields, which a schema
cannot state, are listed here. A refusal for any other reason fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from oxillama.engine.api.embedding import Embedder
from oxillama.server import ServerConfig, create_app
from tests.support.asgi_client import ASGIClient, Response
from tests.support.assistants_api import Api, api_over
from tests.support.fake_engine import FakeEngine, FillingTokenizer
from tests.support.json_schema import Validator, Values

# No shrinking: a failure shows its reason, and smaller bodies would take minutes to find.
CALM = settings(
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
JSON = {"content-type": "application/json"}
Rule = Callable[[dict[str, Any]], bool]


def described() -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        app = create_app(ServerConfig(log_level="error"), engine=FakeEngine())
        return dict((await ASGIClient(app).get("/openapi.json")).json())

    return trio.run(ask)


DOCUMENT = described()
VALIDATOR = Validator(DOCUMENT["components"]["schemas"])
BODIES = {
    path: operation["requestBody"]["content"]["application/json"]["schema"]
    for path, methods in DOCUMENT["paths"].items()
    for operation in methods.values()
    if "requestBody" in operation
}


def _calls_wrongly(body: dict[str, Any]) -> bool:
    """Whether a message has no content, or calls and their answers do not follow each other."""
    open_calls: set[str] = set()
    known: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in known:
                return True
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return True
        calls = message.get("tool_calls") if message["role"] == "assistant" else None
        if message["role"] == "assistant":
            has_content = message.get("content") is not None or message.get("refusal") is not None
            if not has_content and not calls and message.get("function_call") is None:
                return True
        known = {call["id"] for call in calls or ()}
        open_calls = set(known)
    return bool(open_calls)


def _candidates(body: dict[str, Any]) -> int:
    return max(body.get("n") or 1, body.get("best_of") or 1)


def _prompts(body: dict[str, Any]) -> int:
    prompt = body.get("prompt")
    return len(prompt) if isinstance(prompt, list) and isinstance(prompt[0], (str, list)) else 1


def _ids(prompt: Any) -> list[int]:
    """The token ids of a prompt in any form."""
    if isinstance(prompt, list):
        return [id_ for part in prompt for id_ in _ids(part)]
    return [prompt] if isinstance(prompt, int) else []


def _functions(body: dict[str, Any]) -> list[str]:
    """The names of the functions in both forms."""
    tools, functions = body.get("tools") or [], body.get("functions") or []
    return [tool["function"]["name"] for tool in tools] + [function["name"] for function in functions]


def _has_wrong_tools(body: dict[str, Any]) -> bool:
    if "messages" not in body:  # an assistant or a run
        names = [tool["function"]["name"] for tool in body["tools"] if tool["type"] == "function"]
        return len(set(names)) < len(names) or any(tool["type"] == "code_interpreter" for tool in body["tools"])
    names = _functions(body)
    return len(set(names)) < len(names) or bool(body.get("tools") and body.get("functions"))


def _known_choice(body: dict[str, Any]) -> bool:
    """Whether the functions that must or may be called are there."""
    if "assistant_id" in body:
        return _known_choice_of_run(body)
    for field, of in (("tool_choice", "tools"), ("function_call", "functions")):
        choice = body.get(field)
        names = _functions({of: body.get(of)})
        if (choice == "required" or isinstance(choice, dict)) and not names:
            return False
        if isinstance(choice, dict):
            allowed = choice.get("allowed_tools", {}).get("tools", [choice])
            if any(one.get("function", one)["name"] not in names for one in allowed):
                return False
    return True


def _known_choice_of_run(body: dict[str, Any]) -> bool:
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    if not isinstance(choice, dict):
        return choice != "required" or bool(tools)
    if choice["type"] != "function":
        return choice["type"] == "file_search" and any(tool["type"] == "file_search" for tool in tools)
    named = (choice.get("function") or {}).get("name")
    return any(tool["type"] == "function" and tool["function"]["name"] == named for tool in tools)


def _formats(body: dict[str, Any]) -> int:
    """How many fields say what the answer is like."""
    asked = [body.get(field) for field in ("grammar", "regex", "guided_choice")]
    kind = (body.get("response_format") or {}).get("type", "text")
    return sum(map(bool, asked)) + int(kind != "text")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _listed(value) if isinstance(one, dict)]


def _attachments(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The attachments of a message or of the messages in a body."""
    found = _dicts(body.get("attachments"))
    for name in ("messages", "additional_messages"):
        found += [file for message in _dicts(body.get(name)) for file in _attachments(message)]
    return found + (_attachments(body["thread"]) if isinstance(body.get("thread"), dict) else [])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_long_overlap(body: dict[str, Any]) -> bool:
    """Whether passages of a file would share more than half of their tokens."""
    for holder in (body, *_listed(body.get("files"))):
        sizes = (holder.get("chunking_strategy") or {}).get("static")
        if sizes is not None and 2 * sizes["chunk_overlap_tokens"] > sizes["max_chunk_size_tokens"]:
            return True
    return False


def _is_bias(pair: list[Any]) -> bool:
    """Whether a pair is (a token id in range or a text, a number or false)."""
    token, bias = pair
    known = isinstance(token, str) or (type(token) is int and token < 259)
    return known and (bias is False or (isinstance(bias, (int, float)) and abs(bias) <= 100))


RULES: dict[str, Rule] = {
    r"stream_options": lambda body: not body.get("stream"),
    r"top_logprobs": lambda body: not body.get("logprobs"),
    r"best_of": lambda body: body["best_of"] < (body.get("n") or 1) or bool(body.get("stream")),
    r"prompt": lambda body: _prompts(body) * _candidates(body) > 128,
    r"prompt(\[\d+\])*": lambda body: any(id_ >= 259 for id_ in _ids(body["prompt"])),
    r"input(\[\d+\])*": lambda body: any(id_ >= 259 for id_ in _ids(body["input"])),
    r"dimensions": lambda body: body["dimensions"] > 64,
    r"tools|functions": lambda body: _has_wrong_tools(body),
    r"tool_choice|function_call": lambda body: not _known_choice(body),
    r"grammar|regex|guided_choice": lambda body: _formats(body) > 1,
    r"grammar": lambda body: bool(body["grammar"]),  # random texts are none
    r"regex": lambda body: not _is_regex(body["regex"]),
    r"logit_bias\.\d+": lambda body: any(key.isdigit() and int(key) >= 259 for key in body["logit_bias"]),
    r"logit_bias\[.*": lambda body: not all(map(_is_bias, body["logit_bias"])),
    r"suffix": lambda body: bool(body.get("echo")) and body.get("logprobs") is not None,
    r"n": lambda body: "messages" not in body and body["n"] > 1,
    r"samplers": lambda body: len(set(body["samplers"]) - {"typ_p"}) < len(body["samplers"]),
    r"messages.*": lambda body: _calls_wrongly(body),
    r"bytes": lambda body: body["bytes"] > 512 * 2**20,  # the setting max_file
    r"(files\[\d+\]\.)?chunking_strategy\.static\.chunk_overlap_tokens": lambda body: _has_long_overlap(body),
    r"files|file_ids": lambda body: (body.get("files") is None) == (body.get("file_ids") is None),
    r"part_ids(\[\d+\])*": lambda body: True,  # which parts an upload has
}
"""Parameter → whether the body breaks a rule for it that a schema cannot state."""


def _is_regex(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


class Objects:
    """The objects that paths and bodies of one API may name. They are created on first use."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ids: dict[str, str] = {}

    async def place(self, path: str) -> str:
        """The path with ids of existing objects. A run needs a thread without an active run."""
        if path.endswith("/runs"):
            self._ids.pop("thread_id", None)
        return path.format(**{name: await self.id(name) for name in re.findall(r"{(\w+)}", path)})

    async def filled(self, body: Any) -> Any:
        """The body with the existing model and assistant."""
        if isinstance(body, dict) and isinstance(body.get("model"), str):
            body["model"] = "fake-model"
        if isinstance(body, dict) and isinstance(body.get("assistant_id"), str):
            body["assistant_id"] = await self.id("assistant_id")
        if isinstance(body, dict):
            await self._fill_files(body)
        return body

    async def _fill_files(self, body: dict[str, Any]) -> None:
        """Let the names of files in a body be the id of one that exists."""
        for holder in (body, *_dicts(body.get("files")), *_attachments(body)):
            if isinstance(holder.get("file_id"), str):
                holder["file_id"] = await self.id("uploaded_id")
        if isinstance(ids := body.get("file_ids"), list):
            body["file_ids"] = [await self.id("uploaded_id") if isinstance(one, str) else one for one in ids]

    async def id(self, name: str) -> str:
        if name not in self._ids:
            self._ids[name] = await self._made(name)
        return self._ids[name]

    async def _made(self, name: str) -> str:
        if name == "assistant_id":
            return await self._api.assistant()
        if name == "thread_id":
            return await self._api.thread("Hi")
        if name == "upload_id":
            body = {"filename": "a", "bytes": 1, "mime_type": "text/plain", "purpose": "batch"}
            return str((await self._api.post("/uploads", body))["id"])
        if name == "uploaded_id":
            parts = ("purpose", "assistants"), ('file"; filename="a.txt', "Hi")
            form = "".join(f'--B\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts)
            headers = {"Content-Type": "multipart/form-data; boundary=B"}
            answer = await self._api.client.post("/v1/files", body=f"{form}--B--\r\n".encode(), headers=headers)
            return str(answer.json()["id"])
        if name == "vector_store_id":
            return str((await self._api.post("/vector_stores", {"name": "a"}))["id"])
        if name == "file_id":
            store, body = await self.id("vector_store_id"), {"file_id": await self.id("uploaded_id")}
            return str((await self._api.post(f"/vector_stores/{store}/files", body))["id"])
        thread = f"/threads/{await self.id('thread_id')}"
        if name == "message_id":
            return str((await self._api.get(f"{thread}/messages"))["data"][0]["id"])
        body = {"assistant_id": await self.id("assistant_id")}
        return str((await self._api.post(f"{thread}/runs", body))["id"])


def _wrong(path: str, body: Any, response: Response) -> str:
    """What is wrong with the response to a body; "" if it agrees with the description."""
    is_valid = VALIDATOR.is_valid(BODIES[path], body)
    if response.status_code == 200:
        return "" if is_valid else "taken, but not described"
    if response.status_code != 400:
        return f"status {response.status_code}: {response.text}"
    if not is_valid:
        return ""
    error = response.json()["error"]
    if path.endswith("/submit_tool_outputs") and error["message"].startswith(("Runs in status", "Expected tool out")):
        return ""  # which calls a run waits for
    excused = any(re.fullmatch(param, error["param"] or "") and rule(body) for param, rule in RULES.items())
    return "" if excused else f"described, but refused: {error}"


async def _all_agree(path: str, bodies: list[Any]) -> None:
    pooling = "rank" if path == "/v1/rerank" else "mean"
    embedder = Embedder(pooling=pooling, width=1 if pooling == "rank" else 64, max_tokens=2048)
    engine = FakeEngine(
        reply="ok", n_ctx=2048, n_slots=256, max_waiting=4096, embedder=embedder, tokenizer=FillingTokenizer()
    )
    with TemporaryDirectory() as folder:
        async with api_over(Path(folder), engine) as api:
            objects = Objects(api)
            for body in bodies:
                place, sent = await objects.place(path), await objects.filled(body)
                with trio.fail_after(20):
                    response = await api.client.post(place, body=msgspec.json.encode(sent), headers=JSON)
                problem = _wrong(path, sent, response)
                assert not problem, f"{place} {sent}: {problem}"


@pytest.mark.parametrize("path", sorted(BODIES))
@given(data=st.data())
@settings(CALM, max_examples=5)
def test_the_server_accepts_exactly_what_the_document_describes(path: str, data: st.DataObject) -> None:
    valid, wild = (Values(VALIDATOR, wild=wild).of(BODIES[path]) for wild in (False, True))
    bodies = data.draw(st.lists(valid, min_size=6, max_size=6)) + data.draw(st.lists(wild, min_size=10, max_size=10))
    trio.run(_all_agree, path, bodies)


@pytest.mark.parametrize("path", sorted(BODIES))
def test_every_body_has_an_example_that_is_accepted(path: str) -> None:
    [operation] = [one for one in DOCUMENT["paths"][path].values() if "requestBody" in one]
    body = operation["requestBody"]["content"]["application/json"]["example"]
    assert VALIDATOR.is_valid(BODIES[path], body)
    assert body
    trio.run(_all_agree, path, [body])
