"""/v1/threads/{thread}/runs: the requests, and the run that is stored for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.assistants.records import RUN_LIFETIME_S, Assistant, Run, RunStatus, ThreadMessage
from oxillama.assistants.support import require_supported
from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.apis.threads.request import CreateThread
from oxillama.server.wire.fields import Metadata, ReasoningEffort, Temperature, Text, TopP, accepts
from oxillama.server.wire.formats import AUTO_OR_TEXT, ResponseFormat
from oxillama.server.wire.tools import Tool, ToolChoice, ToolResources
from oxillama.storage.ids import new_id

NO_CALL = {"enum": ["none", "auto", None]}

MessageCount = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
TokenBudget = Annotated[int, msgspec.Meta(ge=256, le=2**31 - 1)]


class AutoTruncation(msgspec.Struct, kw_only=True, tag_field="type", tag="auto"):
    """As many recent messages as fit."""

    last_messages: MessageCount | None = None


class LastMessages(msgspec.Struct, kw_only=True, tag_field="type", tag="last_messages"):
    """The latest messages only."""

    last_messages: MessageCount


class RunFields(msgspec.Struct, kw_only=True):
    """The fields that both ways to create a run share."""

    assistant_id: str
    model: str | None = None
    instructions: Text | None = None
    tools: Annotated[
        Annotated[list[Tool], msgspec.Meta(max_length=20)] | None,
        msgspec.Meta(description="Only with `tool_choice` `none`: the model does not see them."),
    ] = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    truncation_strategy: AutoTruncation | LastMessages | None = None
    tool_choice: Annotated[Literal["none", "auto", "required"] | ToolChoice | None, accepts(NO_CALL)] = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[Literal["auto"] | ResponseFormat | None, accepts(AUTO_OR_TEXT, "Only text.")] = None
    reasoning_effort: ReasoningEffort | None = None

    def record(self, assistant: Assistant, thread_id: str, model: str, now: int, additional: str = "") -> Run:
        """The run to store, with all values resolved. The request's fields override the assistant's.

        additional: instructions to append. Raises InvalidParameterError for settings that no run could honour.
        """
        own = msgspec.to_builtins(self)

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
            metadata=self.metadata or {},
            temperature=resolved("temperature"),
            top_p=resolved("top_p"),
            max_prompt_tokens=self.max_prompt_tokens,
            max_completion_tokens=self.max_completion_tokens,
            truncation_strategy=own["truncation_strategy"] or {"type": "auto", "last_messages": None},
            tool_choice=own["tool_choice"] or "auto",
            parallel_tool_calls=self.parallel_tool_calls is not False,
            response_format=resolved("response_format"),
            reasoning_effort=resolved("reasoning_effort"),
            streamed=bool(self.stream),
        )
        require_supported(tools=run.tools, response_format=run.response_format, tool_choice=run.tool_choice)
        return run


class CreateRun(RunFields, kw_only=True):
    additional_instructions: Text | None = None
    additional_messages: list[CreateMessage] | None = None

    def messages(self, now: int) -> list[ThreadMessage]:
        """The messages to add to the thread. There may be very many: call it in a thread."""
        return [message.record(now) for message in self.additional_messages or ()]


class CreateThreadAndRun(RunFields, kw_only=True):
    thread: CreateThread | None = None
    tool_resources: ToolResources | None = None
