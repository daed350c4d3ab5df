"""/v1/threads/{thread}/runs and /v1/threads/runs: create (whole or as a stream), list, fetch, modify, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from quart import Blueprint, request

from oxillama.assistants.records.types import Run
from oxillama.assistants.service import watch
from oxillama.errors import StateConflictError
from oxillama.server.apis.assistants.request import (
    CreateRun,
    CreateThread,
    CreateThreadAndRun,
    ModifyMetadata,
    check_resources,
)
from oxillama.server.apis.records import paged, stored
from oxillama.server.apis.runs.create import new_messages, new_run, run_events
from oxillama.server.apis.threads.routes import new_thread
from oxillama.server.http import sse
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.bodies import read_body
from oxillama.server.wire.json import json_response

if TYPE_CHECKING:
    from quart import Response

    from oxillama.assistants.records.types import Thread
    from oxillama.assistants.run.live import LiveRun
    from oxillama.server.http.asgi import ServerRequest

blueprint = Blueprint("runs", __name__, url_prefix="/v1/threads")

POLL_AFTER_MS = "200"  # how long official clients sleep between two looks at a run


@blueprint.post("/<thread_id>/runs")
@describes(body=CreateRun, answer=Run)
async def create_run(thread_id: str) -> Response:
    """Refused while another run is active on the thread."""
    state = server_state()
    desk = state.require_assistants()
    wire = await read_body(CreateRun)
    assistant = await desk.in_thread(desk.definitions.get, wire.assistant_id)
    model = state.check_model(wire.model or assistant.model)
    now = desk.store.now()
    run = new_run(wire, assistant, thread_id, model, now, wire.additional_instructions or "")
    messages = new_messages(wire.additional_messages, "additional_messages", now)
    return _answer(*await desk.create_run(run, messages))


@blueprint.post("/runs")
@describes(body=CreateThreadAndRun, answer=Run)
async def create_thread_and_run() -> Response:
    state = server_state()
    desk = state.require_assistants()
    wire = await read_body(CreateThreadAndRun)
    check_resources(wire.tool_resources)
    assistant = await desk.in_thread(desk.definitions.get, wire.assistant_id)
    model = state.check_model(wire.model or assistant.model)
    now = desk.store.now()
    thread, messages = new_thread(wire.thread or CreateThread(), now, "thread.")
    run = new_run(wire, assistant, thread.id, model, now)
    return _answer(*await desk.create_run(run, messages, thread=thread), thread=thread)


def _answer(run: Run, live: LiveRun, *, thread: Thread | None = None) -> Response:
    """The run, or if it asked for that the stream of its events. A client that leaves does not end its run."""
    if not run.streamed:
        return json_response(run.to_wire())
    state = server_state()
    subscription = watch(run, live)
    cast("ServerRequest", request).stack.callback(live.broadcast.unsubscribe, subscription)
    events = run_events(subscription, state.config.ping_interval, thread)
    return sse.event_stream(sse.ended_by_error(events, state.log, "error"))


@blueprint.get("/<thread_id>/runs")
@describes(answer=list[Run])
async def list_runs(thread_id: str) -> Response:
    desk = server_state().require_assistants()
    return await paged(desk.in_thread, lambda: desk.store.list_runs(thread_id))


@blueprint.get("/<thread_id>/runs/<run_id>")
@describes(answer=Run)
async def get_run(thread_id: str, run_id: str) -> Response:
    desk = server_state().require_assistants()
    run = await desk.in_thread(desk.store.get_run, thread_id, run_id)
    return json_response(run.to_wire(), headers={"openai-poll-after-ms": POLL_AFTER_MS})


@blueprint.post("/<thread_id>/runs/<run_id>")
@describes(body=ModifyMetadata, answer=Run)
async def modify_run(thread_id: str, run_id: str) -> Response:
    """Only the metadata can change."""
    desk = server_state().require_assistants()
    changes = (await read_body(ModifyMetadata)).changes()
    return await stored(desk.in_thread, desk.store.update_run, thread_id, run_id, **changes)


@blueprint.post("/<thread_id>/runs/<run_id>/cancel")
@describes(answer=Run)
async def cancel_run(thread_id: str, run_id: str) -> Response:
    """The run as it is now, usually `cancelling`: its worker ends it."""
    return json_response((await server_state().require_assistants().cancel_run(thread_id, run_id)).to_wire())


@blueprint.post("/<thread_id>/runs/<run_id>/submit_tool_outputs")
async def submit_tool_outputs(thread_id: str, run_id: str) -> Response:
    """No run asks for tool outputs here, so they always come at the wrong time."""
    desk = server_state().require_assistants()
    run = await desk.in_thread(desk.store.get_run, thread_id, run_id)
    raise StateConflictError(f'Runs in status "{run.status}" do not accept tool outputs.')
