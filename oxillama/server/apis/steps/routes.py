"""/v1/threads/{thread}/runs/{run}/steps."""

from __future__ import annotations

from functools import partial

from oxillama.server.apis.steps.answer import RunStepObject
from oxillama.server.apis.steps.request import INCLUDE, wants_content
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.pagination import Page, read_page

api = API("steps", prefix="/v1/threads/<thread_id>/runs/<run_id>/steps", order=80)


@api.get("", answer=Page[RunStepObject], query=INCLUDE)
async def list_steps(thread_id: str, run_id: str) -> Page[RunStepObject]:
    assistants = server_state().require_assistants()
    steps = partial(assistants.store.steps.page, thread_id, run_id)
    of = partial(RunStepObject.of, content=wants_content())
    return await read_page(assistants.in_thread, steps, of)


@api.get("/<step_id>", answer=RunStepObject, query=INCLUDE)
async def get_step(thread_id: str, run_id: str, step_id: str) -> RunStepObject:
    assistants = server_state().require_assistants()
    content = wants_content()
    step = await assistants.in_thread(assistants.store.steps.get, thread_id, run_id, step_id)
    return RunStepObject.of(step, content=content)
