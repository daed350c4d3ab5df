"""/v1/threads/{thread}/runs/{run}/steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

from oxillama.assistants.records.types import RunStep
from oxillama.server.apis.records import paged, stored
from oxillama.server.operation import describes
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("steps", __name__, url_prefix="/v1/threads/<thread_id>/runs/<run_id>/steps")


@blueprint.get("")
@describes(answer=list[RunStep])
async def list_steps(thread_id: str, run_id: str) -> Response:
    desk = server_state().require_assistants()
    return await paged(desk.in_thread, lambda: desk.store.list_steps(thread_id, run_id))


@blueprint.get("/<step_id>")
@describes(answer=RunStep)
async def get_step(thread_id: str, run_id: str, step_id: str) -> Response:
    desk = server_state().require_assistants()
    return await stored(desk.in_thread, desk.store.get_step, thread_id, run_id, step_id)
