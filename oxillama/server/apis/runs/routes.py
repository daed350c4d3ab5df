"""/v1/threads/{thread}/runs and /v1/threads/runs: create (whole or as a stream), list, fetch, modify, cancel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn, cast

from quart import Response, request

from oxillama.assistants.service import watch
from oxillama.errors import StateConflictError
from oxillama.server.apis.runs.answer import RunObject
from oxillama.server.apis.runs.request import CreateRun, CreateThreadAndRun
from oxillama.server.apis.runs.stream import FAILURE, RUN_EVENTS, THREAD_CREATED, run_events
from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.apis.threads.request import CreateThread
from oxillama.server.http import sse
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.errors import ErrorEnvelope
from oxillama.server.wire.fields import ModifyMetadata, given
from oxillama.server.wire.json import json_response
from oxillama.server.wire.pagination import Page, read_page

if TYPE_CHECKING:
    from oxillama.assistants.records import Run, Thread
    from oxillama.assistants.run.live import LiveRun
    from oxillama.server.http.asgi import ServerRequest

api = API("runs", prefix="/v1/threads", order=70)

POLL_AFTER_MS = "200"  # how long official clients sleep between two polls of a run


@api.post(
    "/<thread_id>/runs",
    body=CreateRun,
    answer=RunObject,
    chunk=RUN_EVENTS | {FAILURE: ErrorEnvelope},
    example={"assistant_id": "asst_…"},
)
async def create_run(wire: CreateRun, thread_id: str) -> RunObject | Response:
    """Refused while another run is active. With `stream`, answers with the run's events as they happen."""
    state = server_state()
    assistants = state.require_assistants()
    assistant = await assistants.in_thread(assistants.store.assistants.get, wire.assistant_id)
    model = state.check_model(wire.model or assistant.model)
    now = assistants.store.now()
    run = wire.record(assistant, thread_id, model, now, wire.additional_instructions or "")
    messages = await assistants.in_thread(wire.messages, now)
    return _answer(*await assistants.create_run(run, messages))


@api.post(
    "/runs",
    body=CreateThreadAndRun,
    answer=RunObject,
    chunk={THREAD_CREATED: ThreadObject, **RUN_EVENTS, FAILURE: ErrorEnvelope},
    example={
        "assistant_id": "asst_…",
        "thread": {"messages": [{"role": "user", "content": "Name three rivers."}]},
    },
)
async def create_thread_and_run(wire: CreateThreadAndRun) -> RunObject | Response:
    """Create a thread and a run on it. With `stream`, answers with the run's events as they happen."""
    state = server_state()
    assistants = state.require_assistants()
    assistant = await assistants.in_thread(assistants.store.assistants.get, wire.assistant_id)
    model = state.check_model(wire.model or assistant.model)
    now = assistants.store.now()
    thread, messages = await assistants.in_thread((wire.thread or CreateThread()).records, now)
    run = wire.record(assistant, thread.id, model, now)
    return _answer(*await assistants.create_run(run, messages, thread=thread), thread=thread)


def _answer(run: Run, live: LiveRun, *, thread: Thread | None = None) -> RunObject | Response:
    """The run, or the stream of its events if the request asks for it. A run continues when its client disconnects."""
    if not run.streamed:
        return RunObject.of(run)
    state = server_state()
    subscription = watch(run, live)
    cast("ServerRequest", request).stack.callback(live.broadcast.unsubscribe, subscription)
    events = run_events(subscription, state.config.ping_interval, thread)
    return sse.event_stream(sse.ended_by_error(events, state.log, FAILURE))


@api.get("/<thread_id>/runs", answer=Page[RunObject])
async def list_runs(thread_id: str) -> Page[RunObject]:
    assistants = server_state().require_assistants()
    return await read_page(assistants.in_thread, partial(assistants.store.runs.list, thread_id), RunObject.of)


@api.get("/<thread_id>/runs/<run_id>", answer=RunObject)
async def get_run(thread_id: str, run_id: str) -> Response:
    assistants = server_state().require_assistants()
    run = await assistants.in_thread(assistants.store.runs.get, thread_id, run_id)
    return json_response(RunObject.of(run), headers={"openai-poll-after-ms": POLL_AFTER_MS})


@api.post(
    "/<thread_id>/runs/<run_id>", body=ModifyMetadata, answer=RunObject, example={"metadata": {"topic": "rivers"}}
)
async def modify_run(wire: ModifyMetadata, thread_id: str, run_id: str) -> RunObject:
    """Only the metadata can change."""
    assistants = server_state().require_assistants()
    update = partial(assistants.store.runs.update, thread_id, run_id, **given(wire))
    return RunObject.of(await assistants.in_thread(update))


@api.post("/<thread_id>/runs/<run_id>/cancel", answer=RunObject)
async def cancel_run(thread_id: str, run_id: str) -> RunObject:
    """The run as it is now, usually `cancelling`: its worker ends it."""
    return RunObject.of(await server_state().require_assistants().cancel_run(thread_id, run_id))


@api.post("/<thread_id>/runs/<run_id>/submit_tool_outputs")
async def submit_tool_outputs(thread_id: str, run_id: str) -> NoReturn:
    """Always refused: no run of this server waits for tool outputs."""
    assistants = server_state().require_assistants()
    run = await assistants.in_thread(assistants.store.runs.get, thread_id, run_id)
    raise StateConflictError(f'Runs in status "{run.status}" do not accept tool outputs.')
