"""/v1/threads/{thread}/runs and /v1/threads/runs: create (whole or as a stream), list, fetch, modify, cancel, tools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec
from quart import Response, request

from oxillama.assistants.support import require_possible
from oxillama.server.apis.messages.attachments import attach
from oxillama.server.apis.runs.answer import RunObject
from oxillama.server.apis.runs.request import CreateRun, CreateThreadAndRun, SubmitToolOutputs
from oxillama.server.apis.runs.stream import FAILURE, RESTARTED, RUN_EVENTS, THREAD_CREATED, run_events
from oxillama.server.apis.steps.request import INCLUDE, wants_content
from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.apis.threads.request import CreateThread
from oxillama.server.apis.vector_stores.resources import resolved
from oxillama.server.http import sse
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.errors import ErrorEnvelope, bad_request
from oxillama.server.wire.fields import ModifyMetadata, given
from oxillama.server.wire.json import json_response
from oxillama.server.wire.pagination import Page, read_page

if TYPE_CHECKING:
    from oxillama.assistants.records import Run, Thread
    from oxillama.assistants.run.following.broadcast import Subscription
    from oxillama.server.http.asgi import ServerRequest

api = API("runs", prefix="/v1/threads", order=70)

POLL_AFTER_MS = "200"  # how long official clients sleep between two polls of a run


@api.post(
    "/<thread_id>/runs",
    body=CreateRun,
    answer=RunObject,
    chunk=RUN_EVENTS | {FAILURE: ErrorEnvelope},
    example={"assistant_id": "asst_…"},
    query=INCLUDE,
)
async def create_run(wire: CreateRun, thread_id: str) -> RunObject | Response:
    """Refused while another run is active. With `stream`, answers with the run's events as they happen."""
    assistants, content = server_state().require_assistants(), wants_content()
    run = await _checked(wire, thread_id, wire.additional_instructions or "")
    await attach(thread_id, wire.additional_messages or (), "additional_messages[{}].")
    messages = await assistants.in_thread(wire.messages, run.created_at)
    run, live = await assistants.create_run(run, messages)
    return _answer(run, live.broadcast.subscribe() if run.streamed else None, content=content)


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
    assistants = server_state().require_assistants()
    now = assistants.store.now()
    given_thread = wire.thread or CreateThread()
    thread, messages = await assistants.in_thread(given_thread.records, now)
    run = await _checked(wire, thread.id)
    async with given_thread.resources("thread.") as resources, resolved(wire.tool_resources) as of_run:
        thread = msgspec.structs.replace(thread, tool_resources=resources)
        if of_run is not None:
            run = msgspec.structs.replace(run, tool_resources=of_run)
        run, live = await assistants.create_run(run, messages, thread=thread)
    return _answer(run, live.broadcast.subscribe() if run.streamed else None, thread=thread)


async def _checked(wire: CreateRun | CreateThreadAndRun, thread_id: str, additional: str = "") -> Run:
    """The run to store. Raises APIError or InvalidParameterError for settings that it could not honour."""
    state = server_state()
    assistants = state.require_assistants()
    assistant = await assistants.in_thread(assistants.store.assistants.get, wire.assistant_id)
    model = state.check_model(wire.model or assistant.model)
    run = wire.record(assistant, thread_id, model, assistants.store.now(), state.config.run_expiry, additional)
    await require_possible(state.require_engine(), run)
    return run


def _answer(
    run: Run, subscription: Subscription | None, *, thread: Thread | None = None, content: bool = False
) -> RunObject | Response:
    """The run, or its events as a stream if they are asked for. A run continues when its client disconnects."""
    return RunObject.of(run) if subscription is None else _stream(run, subscription, thread, content=content)


def _stream(run: Run, subscription: Subscription, thread: Thread | None = None, *, content: bool = False) -> Response:
    state = server_state()
    unsubscribe = partial(state.require_assistants().unsubscribe, run.id, subscription)
    cast("ServerRequest", request).stack.callback(unsubscribe)
    events = run_events(subscription, state.config.ping_interval, thread, content=content)
    return sse.event_stream(sse.ended_by_error(events, state.log, FAILURE))


@api.get("/<thread_id>/runs", answer=Page[RunObject])
async def list_runs(thread_id: str) -> Page[RunObject]:
    assistants = server_state().require_assistants()
    return await read_page(assistants.in_thread, partial(assistants.store.runs.page, thread_id), RunObject.of)


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


@api.post(
    "/<thread_id>/runs/<run_id>/submit_tool_outputs",
    body=SubmitToolOutputs,
    answer=RunObject,
    chunk=RUN_EVENTS | {FAILURE: ErrorEnvelope},
    example={"tool_outputs": [{"tool_call_id": "call_…", "output": "21 °C"}]},
)
async def submit_tool_outputs(wire: SubmitToolOutputs, thread_id: str, run_id: str) -> RunObject | Response:
    """The outputs of all calls that the run waits for. With `stream`, answers with the events that follow."""
    assistants = server_state().require_assistants()
    run, subscription = await assistants.submit_outputs(thread_id, run_id, wire.outputs())
    if not wire.stream:
        assistants.unsubscribe(run_id, subscription)
    return _answer(run, subscription if wire.stream else None)


@api.get(
    "/<thread_id>/runs/<run_id>/events",
    chunk={RESTARTED: RunObject, **RUN_EVENTS, FAILURE: ErrorEnvelope},
    query={"after": "Begin behind this event: the text of the comment before it."} | INCLUDE,
)
async def join_run(thread_id: str, run_id: str) -> Response:
    """Join a run, also again: the stream of its events from the first one, or from the one behind `after`.

    Each event follows a comment such as `: 1f0c97ab-12`, which names it. If the server was restarted since, or the run
    ended long ago, the stream begins with `thread.run.restarted`, and all events follow: texts begin anew.
    """
    assistants, content = server_state().require_assistants(), wants_content()
    try:
        run, subscription = await assistants.join(thread_id, run_id, request.args.get("after") or None)
    except ValueError as error:
        raise bad_request(f"Invalid 'after': {error}.", param="after", code="invalid_value") from None
    return _stream(run, subscription, content=content)
