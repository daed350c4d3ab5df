"""Every endpoint of the Assistants API and what goes with it: the answer's schema and the fields of the request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.conformance.contract import objects as o

PAGED = ("limit", "order", "after", "before")
_MESSAGE = ("role", "content", "attachments", "metadata")
_RUN = (
    "assistant_id", "model", "instructions", "tools", "metadata", "temperature", "top_p", "stream",
    "max_prompt_tokens", "max_completion_tokens", "truncation_strategy", "tool_choice", "parallel_tool_calls",
    "response_format",
)  # fmt: skip
_ASSISTANT = (
    "model", "name", "description", "instructions", "tools", "tool_resources", "metadata", "temperature", "top_p",
    "response_format", "reasoning_effort",
)  # fmt: skip


@dataclass(frozen=True)
class Endpoint:
    """answer: the schema of a successful answer; None: bytes. fields: of the body or the query."""

    method: str
    path: str
    answer: o.Schema | None
    fields: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{\w+\}", "[^/]+", self.path)))

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


_THREAD = "/threads/{thread}"
_MESSAGES = f"{_THREAD}/messages"
_RUNS = f"{_THREAD}/runs"
_STORE = "/vector_stores/{store}"
_BATCH = f"{_STORE}/file_batches/{{batch}}"

ENDPOINTS = [
    Endpoint("POST", "/assistants", o.ASSISTANT, _ASSISTANT),
    Endpoint("GET", "/assistants", o.page(o.ASSISTANT), PAGED),
    Endpoint("GET", "/assistants/{assistant}", o.ASSISTANT),
    Endpoint("POST", "/assistants/{assistant}", o.ASSISTANT, _ASSISTANT),
    Endpoint("DELETE", "/assistants/{assistant}", o.deleted("assistant.deleted")),
    Endpoint("POST", "/threads/runs", o.RUN, (*_RUN, "thread", "tool_resources")),
    Endpoint("POST", "/threads", o.THREAD, ("messages", "tool_resources", "metadata")),
    Endpoint("GET", _THREAD, o.THREAD),
    Endpoint("POST", _THREAD, o.THREAD, ("tool_resources", "metadata")),
    Endpoint("DELETE", _THREAD, o.deleted("thread.deleted")),
    Endpoint("POST", _MESSAGES, o.MESSAGE, _MESSAGE),
    Endpoint("GET", _MESSAGES, o.page(o.MESSAGE), (*PAGED, "run_id")),
    Endpoint("GET", f"{_MESSAGES}/{{message}}", o.MESSAGE),
    Endpoint("POST", f"{_MESSAGES}/{{message}}", o.MESSAGE, ("metadata",)),
    Endpoint("DELETE", f"{_MESSAGES}/{{message}}", o.deleted("thread.message.deleted")),
    Endpoint("POST", _RUNS, o.RUN, (*_RUN, "additional_instructions", "additional_messages", "include[]")),
    Endpoint("GET", _RUNS, o.page(o.RUN), PAGED),
    Endpoint("GET", f"{_RUNS}/{{run}}", o.RUN),
    Endpoint("POST", f"{_RUNS}/{{run}}", o.RUN, ("metadata",)),
    Endpoint("POST", f"{_RUNS}/{{run}}/cancel", o.RUN),
    Endpoint("POST", f"{_RUNS}/{{run}}/submit_tool_outputs", o.RUN, ("tool_outputs", "stream")),
    Endpoint("GET", f"{_RUNS}/{{run}}/steps", o.page(o.STEP), (*PAGED, "include[]")),
    Endpoint("GET", f"{_RUNS}/{{run}}/steps/{{step}}", o.STEP, ("include[]",)),
    Endpoint("POST", "/files", o.FILE, ("file", "purpose", "expires_after[anchor]", "expires_after[seconds]")),
    Endpoint("GET", "/files", o.page(o.FILE), ("purpose", "limit", "order", "after")),
    Endpoint("GET", "/files/{file}", o.FILE),
    Endpoint("DELETE", "/files/{file}", o.deleted("file")),
    Endpoint("GET", "/files/{file}/content", None),
    Endpoint("POST", "/uploads", o.UPLOAD, ("filename", "bytes", "mime_type", "purpose", "expires_after")),
    Endpoint("POST", "/uploads/{upload}/parts", o.PART, ("data",)),
    Endpoint("POST", "/uploads/{upload}/complete", o.UPLOAD, ("part_ids", "md5")),
    Endpoint("POST", "/uploads/{upload}/cancel", o.UPLOAD),
    Endpoint(
        "POST", "/vector_stores", o.VECTOR_STORE,
        ("name", "file_ids", "expires_after", "chunking_strategy", "metadata"),
    ),
    Endpoint("GET", "/vector_stores", o.page(o.VECTOR_STORE), PAGED),
    Endpoint("GET", _STORE, o.VECTOR_STORE),
    Endpoint("POST", _STORE, o.VECTOR_STORE, ("name", "expires_after", "metadata")),
    Endpoint("DELETE", _STORE, o.deleted("vector_store.deleted")),
    Endpoint(
        "POST", f"{_STORE}/search", o.SEARCH_PAGE,
        ("query", "max_num_results", "rewrite_query", "filters", "ranking_options"),
    ),
    Endpoint("POST", f"{_STORE}/files", o.STORE_FILE, ("file_id", "attributes", "chunking_strategy")),
    Endpoint("GET", f"{_STORE}/files", o.page(o.STORE_FILE), (*PAGED, "filter")),
    Endpoint("GET", f"{_STORE}/files/{{file}}", o.STORE_FILE),
    Endpoint("POST", f"{_STORE}/files/{{file}}", o.STORE_FILE, ("attributes",)),
    Endpoint("DELETE", f"{_STORE}/files/{{file}}", o.deleted("vector_store.file.deleted")),
    Endpoint("GET", f"{_STORE}/files/{{file}}/content", o.CONTENT_PAGE),
    Endpoint("POST", f"{_STORE}/file_batches", o.FILE_BATCH, ("file_ids", "files", "attributes", "chunking_strategy")),
    Endpoint("GET", _BATCH, o.FILE_BATCH),
    Endpoint("POST", f"{_BATCH}/cancel", o.FILE_BATCH),
    Endpoint("GET", f"{_BATCH}/files", o.page(o.STORE_FILE), (*PAGED, "filter")),
]  # fmt: skip
"""`/threads/runs` comes before `/threads/{thread}`, which has its form."""

EVENTS: dict[str, o.Schema] = (
    {"thread.created": o.THREAD}
    | {f"thread.run.{status}": o.RUN for status in ("created", *o.RUN_STATUS)}
    | {f"thread.run.step.{s}": o.STEP
       for s in ("created", "in_progress", "completed", "failed", "cancelled", "expired")}
    | {f"thread.message.{s}": o.MESSAGE for s in ("created", "in_progress", "completed", "incomplete")}
    | {"thread.message.delta": o.MESSAGE_DELTA, "thread.run.step.delta": o.STEP_DELTA}
)  # fmt: skip


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """The endpoint of a request; path: below the base URL."""
    return next((one for one in ENDPOINTS if one.method == method and one.pattern.fullmatch(path)), None)
