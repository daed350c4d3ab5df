"""The official client, and plain requests beside it, with every answer checked against the contract."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import openai
from jsonschema import Draft202012Validator

from tests.conformance.contract import objects
from tests.conformance.contract.endpoints import EVENTS, Endpoint, endpoint_of
from tests.conformance.contract.errors import REFUSALS
from tests.conformance.coverage import Coverage

_validators: dict[int, Draft202012Validator] = {}


def violations(value: Any, schema: objects.Schema) -> list[str]:
    """What is wrong with a decoded answer."""
    validator = _validators.get(id(schema))
    if validator is None:
        validator = _validators[id(schema)] = Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def plain(answer: Any) -> Any:
    """An object of the client as the JSON it came from."""
    return json.loads(answer.to_json()) if hasattr(answer, "to_json") else answer


@dataclass
class Plain:
    """An answer to a plain request."""

    status: int
    headers: Any
    json: Any


@dataclass
class Api:
    """client: the official client. model: the one that requests name. wrong: what was not as the contract says, which
    fails the test that is running."""

    base_url: str
    api_key: str
    model: str = ""
    coverage: Coverage = field(default_factory=Coverage)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = openai.DefaultHttpxClient(event_hooks={"response": [self._heard]}, timeout=60)
        self.client = openai.OpenAI(
            base_url=self.base_url, api_key=self.api_key, http_client=self.http, max_retries=0, timeout=60
        )
        self._root = urllib.parse.urlsplit(self.base_url).path.rstrip("/")

    @property
    def beta(self) -> Any:
        return self.client.beta

    def close(self) -> None:
        self.client.close()

    # ------------------------------------------------------------------------------------------------------ requests

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Plain:
        """A plain request. body: JSON, or bytes that are sent as they are."""
        headers = {"Authorization": f"Bearer {self.api_key}", "OpenAI-Beta": "assistants=v2"}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = self.http.request(
            method,
            self.base_url + path,
            content=content,
            headers=headers | options.pop("headers", {}),
            **options,
        )
        return Plain(answer.status_code, answer.headers, _decoded(answer))

    def events(self, path: str, body: Any) -> list[tuple[str, Any]]:
        """The events of a stream by name, read without the client's helpers. The end mark is the last."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        with self.http.stream("POST", self.base_url + path, content=json.dumps(body), headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
            found = list(self._parsed("".join(answer.iter_text())))
        return found

    def _parsed(self, text: str) -> Iterator[tuple[str, Any]]:
        for block in filter(None, text.replace("\r\n", "\n").split("\n\n")):
            lines = [line for line in block.split("\n") if not line.startswith(":")]
            if not lines:
                continue
            assert [line.partition(":")[0] for line in lines] == ["event", "data"], f"not an event: {block!r}"
            name, data = (line.partition(":")[2].strip() for line in lines)
            if name == "done":
                assert data == "[DONE]", data
                yield name, data
                continue
            value = json.loads(data)
            if name not in EVENTS:
                self.wrong.append(f"unknown event {name}")
            else:
                self.wrong += [f"{name}: {what}" for what in violations(value, EVENTS[name])]
                self.coverage.events.add(name)
            yield name, value

    def refused(self, name: str, call: Callable[[], Any], **values: Any) -> dict[str, Any]:
        """The call must be refused with the error of this name; values: the text's variable parts."""
        wanted = REFUSALS[name].filled(**values)
        try:
            answer = call()
        except openai.APIStatusError as error:
            status, body = error.status_code, json.loads(error.response.text)
        else:
            assert isinstance(answer, Plain), f"accepted: {answer}"
            status, body = answer.status, answer.json
        assert violations(body, objects.ERROR) == [], body
        found = body["error"]
        got = (status, found["message"][: len(wanted.text)], found["param"], found["code"], found["type"])
        assert got == (wanted.status, wanted.text, wanted.param, wanted.code, "invalid_request_error"), found
        if name.endswith("not found"):
            assert name in ("model not found",) or found["message"] == wanted.text, found
        self.coverage.errors.add(name)
        return dict(found)

    # ------------------------------------------------------------------------------------------------- what is shared

    def now(self) -> int:
        return int(time.time())

    def assistant(self, **fields: Any) -> Any:
        return self.beta.assistants.create(model=self.model, **fields)

    def thread(self, *texts: str) -> Any:
        return self.beta.threads.create(messages=[{"role": "user", "content": text} for text in texts])

    # ------------------------------------------------------------------------------------------------------- checking

    def _heard(self, answer: Any) -> None:
        """Check an answer that has arrived."""
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return
        answer.read()
        request = answer.request
        path = re.sub(f"^{re.escape(self._root)}", "", request.url.path)
        endpoint = endpoint_of(request.method, path)
        if not answer.headers.get("x-request-id"):
            self.wrong.append(f"{request.method} {path}: no x-request-id")
        if answer.status_code >= 400:
            self.wrong += [f"{request.method} {path}: {what}" for what in violations(_decoded(answer), objects.ERROR)]
        elif endpoint is not None:
            self._check(endpoint, request, answer)

    def _check(self, endpoint: Endpoint, request: Any, answer: Any) -> None:
        value = None
        if endpoint.answer is not None:
            if not answer.headers.get("content-type", "").startswith("application/json"):
                self.wrong.append(f"{endpoint.name}: content type {answer.headers.get('content-type')}")
            value = _decoded(answer)
            self.wrong += [f"{endpoint.name}: {what}" for what in violations(value, endpoint.answer)]
        self.coverage.note(endpoint, _sent(request), value)


def _decoded(answer: Any) -> Any:
    try:
        return json.loads(answer.text)
    except ValueError:
        return answer.text


def _sent(request: Any) -> set[str]:
    """The names of the fields of a request."""
    sent = {name.partition("[]")[0] + ("[]" if "[]" in name else "") for name in request.url.params}
    kind = request.headers.get("content-type", "")
    try:
        body = request.read()
    except RuntimeError:  # a form is sent from a stream
        body = b""
    if kind.startswith("application/json") and body:
        value = json.loads(body)
        sent |= set(value) if isinstance(value, dict) else set()
    elif kind.startswith("multipart/"):
        sent |= {name.decode() for name in re.findall(rb'name="([^"]+)"', body)}
    return sent
