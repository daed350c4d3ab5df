"""Searches in the files of a run, on behalf of its model."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from oxillama.assistants.records import FileSearchToolCall, Run, Thread
from oxillama.assistants.run.context import RunContext
from oxillama.assistants.run.tools.offered import SEARCH
from oxillama.assistants.run.tools.passages import found, options_of
from oxillama.errors import OxillamaError
from oxillama.vector_stores.passages import Passage, SearchOptions

MOST_SEARCHES = 8
"""Steps with searches in one run. Then the model has to answer, or to call something else."""
LONGEST_QUERY = 4096
_log = logging.getLogger(__name__)


def searches(run: Run) -> bool:
    """Whether the run has the tool."""
    return any(tool["type"] == SEARCH for tool in run.tools)


def vector_stores(run: Run, thread: Thread) -> list[str]:
    """The vector stores of the run and of its thread, which are searched together."""
    ids: list[str] = []
    for resources in (run.tool_resources, thread.tool_resources):
        ids += ((resources or {}).get(SEARCH) or {}).get("vector_store_ids") or []
    return list(dict.fromkeys(ids))


async def search(
    context: RunContext, run: Run, thread: Thread, call: FileSearchToolCall, query: str, room: int
) -> FileSearchToolCall:
    """The call with its results: the best passages that fit into `room` tokens, but one at least.

    A search that fails is told to the model, and the run goes on.
    """
    options = next((options_of(tool) for tool in run.tools if tool["type"] == SEARCH), SearchOptions())
    stores = vector_stores(run, thread)
    if context.search is None or not stores:
        return _with(call, [], options)
    try:
        passages = await context.search.search(stores, query[:LONGEST_QUERY], options)
    except OxillamaError as error:
        _log.warning("search failed: run_id %s, %s", run.id, error)
        return FileSearchToolCall(call.id, arguments=call.arguments, problem=f"The search failed: {error}")
    kept: list[Passage] = []
    for passage in passages:
        room -= len(await context.engine.encode(passage.text, add_special=False))
        if kept and room < 0:
            break
        kept.append(passage)
    return _with(call, kept, options)


def _with(call: FileSearchToolCall, passages: Sequence[Passage], options: SearchOptions) -> FileSearchToolCall:
    return FileSearchToolCall(call.id, found(passages, options), arguments=call.arguments)
