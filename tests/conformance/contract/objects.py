"""The objects of the API as JSON Schemas. Every documented key is required; further keys are allowed."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "integer", "minimum": 1_500_000_000, "maximum": 10_000_000_000}
METADATA: Schema = {"type": "object", "additionalProperties": TEXT, "maxProperties": 16}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: object) -> Schema:
    return {"enum": list(values)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def id_of(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}[_-][0-9A-Za-z_-]+$"}


def obj(optional: Schema | None = None, /, **required: Schema) -> Schema:
    """An object with these keys; optional: keys that may be absent."""
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def deleted(kind: str) -> Schema:
    return obj(id=TEXT, object=one_of(kind), deleted=one_of(True))


def page(items: Schema) -> Schema:
    return obj(
        object=one_of("list"), data=array(items), first_id=nullable(TEXT), last_id=nullable(TEXT),
        has_more={"type": "boolean"},
    )  # fmt: skip


ERROR = obj(error=obj(message=TEXT, type=TEXT, param=nullable(TEXT), code=nullable(TEXT)))

_STRATEGY = {
    "anyOf": [
        obj(type=one_of("auto")),
        obj(type=one_of("other")),
        obj(type=one_of("static"), static=obj(max_chunk_size_tokens=INTEGER, chunk_overlap_tokens=INTEGER)),
    ]
}
_TOOL = {
    "anyOf": [
        obj({"function": obj({"description": nullable(TEXT), "parameters": {"type": ["object", "null"]},
                              "strict": {"type": ["boolean", "null"]}}, name=TEXT)}, type=one_of("function")),
        obj({"file_search": {"type": "object"}}, type=one_of("file_search")),
        obj(type=one_of("code_interpreter")),
    ]
}  # fmt: skip
_RESOURCES = nullable(
    obj({
        "file_search": nullable(obj({"vector_store_ids": array(id_of("vs"))})),
        "code_interpreter": nullable(obj({"file_ids": array(TEXT)})),
    })
)  # fmt: skip
_FORMAT = {"anyOf": [one_of("auto"), obj(type=one_of("text", "json_object", "json_schema"))]}
_USAGE = nullable(obj(prompt_tokens=INTEGER, completion_tokens=INTEGER, total_tokens=INTEGER))
_ANNOTATION = {
    "anyOf": [
        obj(type=one_of("file_citation"), text=TEXT, start_index=INTEGER, end_index=INTEGER,
            file_citation=obj(file_id=TEXT)),
        obj(type=one_of("file_path"), text=TEXT, start_index=INTEGER, end_index=INTEGER, file_path=obj(file_id=TEXT)),
    ]
}  # fmt: skip
_DETAIL = one_of("auto", "low", "high", "original")
_PART = {
    "anyOf": [
        obj(type=one_of("text"), text=obj(value=TEXT, annotations=array(_ANNOTATION))),
        obj(type=one_of("image_file"), image_file=obj({"detail": _DETAIL}, file_id=TEXT)),
        obj(type=one_of("image_url"), image_url=obj({"detail": _DETAIL}, url=TEXT)),
        obj(type=one_of("refusal"), refusal=TEXT),
    ]
}
_CALL = obj(id=TEXT, type=one_of("function"), function=obj(name=TEXT, arguments=TEXT))
_STEP_CALL = {
    "anyOf": [
        obj(id=TEXT, type=one_of("function"), function=obj(name=TEXT, arguments=TEXT, output=nullable(TEXT))),
        obj(id=TEXT, type=one_of("file_search"), file_search={"type": "object"}),
        obj(id=TEXT, type=one_of("code_interpreter"), code_interpreter={"type": "object"}),
    ]
}

ASSISTANT = obj(
    id=id_of("asst"), object=one_of("assistant"), created_at=TIME, name=nullable(TEXT), description=nullable(TEXT),
    model=TEXT, instructions=nullable(TEXT), tools=array(_TOOL), tool_resources=_RESOURCES, metadata=METADATA,
    temperature=nullable(NUMBER), top_p=nullable(NUMBER), response_format=_FORMAT,
)  # fmt: skip
THREAD = obj(id=id_of("thread"), object=one_of("thread"), created_at=TIME, metadata=METADATA, tool_resources=_RESOURCES)
MESSAGE = obj(
    id=id_of("msg"), object=one_of("thread.message"), created_at=TIME, thread_id=id_of("thread"),
    role=one_of("user", "assistant"), content=array(_PART), assistant_id=nullable(id_of("asst")),
    run_id=nullable(id_of("run")), status=one_of("in_progress", "incomplete", "completed"),
    incomplete_details=nullable(
        obj(reason=one_of("content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"))
    ),
    completed_at=nullable(TIME), incomplete_at=nullable(TIME), attachments=array({"type": "object"}), metadata=METADATA,
)  # fmt: skip
RUN_STATUS = (
    "queued", "in_progress", "requires_action", "cancelling", "cancelled", "failed", "completed", "incomplete",
    "expired",
)  # fmt: skip
RUN = obj(
    id=id_of("run"), object=one_of("thread.run"), created_at=TIME, thread_id=id_of("thread"),
    assistant_id=id_of("asst"), status=one_of(*RUN_STATUS), started_at=nullable(TIME), expires_at=nullable(TIME),
    cancelled_at=nullable(TIME), failed_at=nullable(TIME), completed_at=nullable(TIME),
    required_action=nullable(
        obj(type=one_of("submit_tool_outputs"), submit_tool_outputs=obj(tool_calls=array(_CALL)))
    ),
    last_error=nullable(obj(code=one_of("server_error", "rate_limit_exceeded", "invalid_prompt"), message=TEXT)),
    incomplete_details=nullable(obj(reason=one_of("max_completion_tokens", "max_prompt_tokens"))), model=TEXT,
    instructions=TEXT, tools=array(_TOOL), metadata=METADATA, usage=_USAGE, temperature=nullable(NUMBER),
    top_p=nullable(NUMBER), max_prompt_tokens=nullable(INTEGER), max_completion_tokens=nullable(INTEGER),
    truncation_strategy=obj(type=one_of("auto", "last_messages"), last_messages=nullable(INTEGER)),
    tool_choice={"anyOf": [one_of("none", "auto", "required"), obj(type=TEXT)]},
    parallel_tool_calls={"type": "boolean"}, response_format=_FORMAT,
)  # fmt: skip
STEP = obj(
    id=id_of("step"), object=one_of("thread.run.step"), created_at=TIME, run_id=id_of("run"),
    assistant_id=id_of("asst"), thread_id=id_of("thread"), type=one_of("message_creation", "tool_calls"),
    status=one_of("in_progress", "completed", "failed", "cancelled", "expired"),
    step_details={
        "anyOf": [
            obj(type=one_of("message_creation"), message_creation=obj(message_id=id_of("msg"))),
            obj(type=one_of("tool_calls"), tool_calls=array(_STEP_CALL)),
        ]
    },
    last_error=nullable(obj(code=one_of("server_error", "rate_limit_exceeded"), message=TEXT)),
    expired_at=nullable(TIME), cancelled_at=nullable(TIME), failed_at=nullable(TIME), completed_at=nullable(TIME),
    metadata=nullable(METADATA), usage=_USAGE,
)  # fmt: skip
FILE = obj(
    {"expires_at": nullable(TIME), "status_details": nullable(TEXT)},
    id=id_of("file"), object=one_of("file"), bytes=INTEGER, created_at=TIME, filename=TEXT,
    purpose=one_of("assistants", "batch", "fine-tune", "vision", "user_data", "evals", "assistants_output",
                   "batch_output", "fine-tune-results"),
    status=one_of("uploaded", "processed", "error"),
)  # fmt: skip
UPLOAD = obj(
    {"file": nullable(FILE)},
    id=id_of("upload"), object=one_of("upload"), bytes=INTEGER, created_at=TIME, filename=TEXT, purpose=TEXT,
    status=one_of("pending", "completed", "cancelled", "expired"), expires_at=TIME,
)  # fmt: skip
PART = obj(id=id_of("part"), object=one_of("upload.part"), created_at=TIME, upload_id=id_of("upload"))
_COUNTS = obj(in_progress=INTEGER, completed=INTEGER, failed=INTEGER, cancelled=INTEGER, total=INTEGER)
VECTOR_STORE = obj(
    id=id_of("vs"), object=one_of("vector_store"), created_at=TIME, name=nullable(TEXT), usage_bytes=INTEGER,
    file_counts=_COUNTS, status=one_of("in_progress", "completed", "expired"),
    expires_after=nullable(obj(anchor=one_of("last_active_at"), days=INTEGER)), expires_at=nullable(TIME),
    last_active_at=nullable(TIME), metadata=METADATA,
)  # fmt: skip
STORE_FILE = obj(
    id=id_of("file"), object=one_of("vector_store.file"), created_at=TIME, vector_store_id=id_of("vs"),
    usage_bytes=INTEGER, status=one_of("in_progress", "completed", "cancelled", "failed"),
    last_error=nullable(obj(code=one_of("server_error", "unsupported_file", "invalid_file"), message=TEXT)),
    chunking_strategy=_STRATEGY, attributes=nullable({"type": "object", "maxProperties": 16}),
)  # fmt: skip
FILE_BATCH = obj(
    id=id_of("vsfb"), object=one_of("vector_store.files_batch", "vector_store.file_batch"), created_at=TIME,
    vector_store_id=id_of("vs"), status=one_of("in_progress", "completed", "cancelled", "failed"), file_counts=_COUNTS,
)  # fmt: skip
_TEXT_PARTS = array(obj(type=one_of("text"), text=TEXT))
SEARCH_PAGE = obj(
    object=one_of("vector_store.search_results.page"), search_query=array(TEXT),
    data=array(
        obj(file_id=id_of("file"), filename=TEXT, score={"type": "number", "minimum": 0, "maximum": 1},
            attributes=nullable({"type": "object"}), content=_TEXT_PARTS)
    ),
    has_more={"type": "boolean"}, next_page=nullable(TEXT),
)  # fmt: skip
CONTENT_PAGE = obj(
    object=one_of("vector_store.file_content.page"), data=_TEXT_PARTS, has_more={"type": "boolean"},
    next_page=nullable(TEXT),
)  # fmt: skip
MESSAGE_DELTA = obj(
    id=id_of("msg"), object=one_of("thread.message.delta"),
    delta=obj({"content": array(obj(index=INTEGER, type=one_of("text", "image_file", "image_url", "refusal")))}),
)  # fmt: skip
STEP_DELTA = obj(id=id_of("step"), object=one_of("thread.run.step.delta"), delta=obj(step_details=obj(type=TEXT)))
