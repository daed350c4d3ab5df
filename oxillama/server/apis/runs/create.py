"""From a create-run request and its assistant to the run that is stored, and a run's events as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.records.types import RUN_LIFETIME_S, Assistant, Run, RunStatus, Thread, ThreadMessage
from oxillama.assistants.run.wire_events import is_last, named, thread_created
from oxillama.errors import EngineClosedError
from oxillama.server.http import sse
from oxillama.server.wire.errors import APIError, bad_request
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from oxillama.assistants.run.events import RunEvent, Subscription
    from oxillama.server.apis.assistants.request import CreateMessage, RunFields

DONE = b"event: done\n" + sse.DONE
PLAIN_FORMATS = ("auto", {"type": "text"})


def new_messages(wire: Sequence[CreateMessage] | None, path: str, now: int) -> list[ThreadMessage]:
    """Messages as a client brings them along; `path` is where they stand in the request. Raises APIError."""
    return [new_message(message, now, f"{path}[{at}].") for at, message in enumerate(wire or ())]


def new_message(wire: CreateMessage, now: int, path: str = "") -> ThreadMessage:
    """One such message."""
    return ThreadMessage.new_user(new_id("msg"), wire.texts(path), now, wire.metadata, wire.role)


def new_run(wire: RunFields, assistant: Assistant, thread_id: str, model: str, now: int, additional: str = "") -> Run:
    """The run that a request asks for, with everything resolved; the request's fields win over the assistant's.

    Raises APIError for what this server cannot do.
    """
    wire.check()
    own = msgspec.to_builtins(wire)

    def resolved(name: str) -> Any:
        return own[name] if own[name] is not None else getattr(assistant, name)

    instructions = resolved("instructions") or ""
    run = Run(
        id=new_id("run"),
        created_at=now,
        thread_id=thread_id,
        assistant_id=assistant.id,
        status=RunStatus.QUEUED,
        expires_at=now + RUN_LIFETIME_S,
        model=model,
        instructions="\n".join(part for part in (instructions, additional) if part),
        tools=resolved("tools"),
        metadata=wire.metadata or {},
        temperature=resolved("temperature"),
        top_p=resolved("top_p"),
        max_prompt_tokens=wire.max_prompt_tokens,
        max_completion_tokens=wire.max_completion_tokens,
        truncation_strategy=own["truncation_strategy"] or {"type": "auto", "last_messages": None},
        tool_choice=own["tool_choice"] or "auto",
        parallel_tool_calls=wire.parallel_tool_calls is not False,
        response_format=resolved("response_format"),
        reasoning_effort=resolved("reasoning_effort"),
        streamed=bool(wire.stream),
    )
    _check_supported(run)
    return run


def _check_supported(run: Run) -> None:
    if run.tools and run.tool_choice != "none":
        raise _unsupported("tools", "runs cannot use tools; pass `tools: []` or `tool_choice: 'none'`")
    if run.tool_choice not in ("none", "auto"):
        raise _unsupported("tool_choice", "there are no tools to choose from")
    if run.response_format not in PLAIN_FORMATS:
        raise _unsupported("response_format", "runs can only be asked for text")


def _unsupported(param: str, why: str) -> APIError:
    message = f"Unsupported parameter: '{param}' is not supported by this server: {why}."
    return bad_request(message, param=param, code="unsupported_parameter")


async def run_events(
    subscription: Subscription, ping_interval: float, thread: Thread | None = None
) -> AsyncGenerator[bytes, None]:
    """The stream of a run's events, up to its end. `thread`: one that was made together with the run.

    Raises EngineClosedError when the server stops first: the run is then taken up again by the next start.
    """
    ended = False

    def render(event: RunEvent) -> bytes:
        nonlocal ended
        ended = is_last(event)
        name, data = named(event)
        return sse.event(data, name)

    if thread is not None:
        name, data = thread_created(thread)
        yield sse.event(data, name)
    async for chunk in sse.with_pings(subscription, ping_interval, render):
        yield chunk
    if not ended:
        raise EngineClosedError("The server is shutting down; the run is taken up again when it is back.")
    yield DONE
