"""/v1/threads/{thread}/runs: the requests, and the run that is stored for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.assistants.records import Assistant, Run, RunStatus, ThreadMessage
from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.apis.threads.request import CreateThread
from oxillama.server.wire.fields import Metadata, ReasoningEffort, Temperature, Text, TopP
from oxillama.server.wire.formats import ResponseFormat
from oxillama.server.wire.tools import Tool, ToolChoice, ToolResources
from oxillama.storage.ids import new_id

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
    tools: Annotated[list[Tool], msgspec.Meta(max_length=20)] | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    truncation_strategy: AutoTruncation | LastMessages | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None

    def record(
        self, assistant: Assistant, thread_id: str, model: str, now: int, lifetime: float, additional: str = ""
    ) -> Run:
        """The run to store, with all values resolved. The request's fields override the assistant's.

        lifetime: seconds after which the run expires. additional: instructions to append.
        """
        own = msgspec.to_builtins(self)

        def resolved(name: str) -> Any:
            return own[name] if own[name] is not None else getattr(assistant, name)

        instructions = resolved("instructions") or ""
        return Run(
            id=new_id("run"),
            created_at=now,
            thread_id=thread_id,
            assistant_id=assistant.id,
            status=RunStatus.QUEUED,
            expires_at=now + int(lifetime),
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
            tool_resources=assistant.tool_resources,
            streamed=bool(self.stream),
        )


class CreateRun(RunFields, kw_only=True):
    additional_instructions: Text | None = None
    additional_messages: list[CreateMessage] | None = None

    def messages(self, now: int) -> list[ThreadMessage]:
        """The messages to add to the thread. There may be very many: call it in a thread."""
        return [message.record(now) for message in self.additional_messages or ()]


class CreateThreadAndRun(RunFields, kw_only=True):
    thread: CreateThread | None = None
    tool_resources: ToolResources | None = None


class ToolOutput(msgspec.Struct, kw_only=True):
    """What a function returned, as the model is to see it."""

    tool_call_id: str
    output: str | None = None


class SubmitToolOutputs(msgspec.Struct, kw_only=True):
    """One output for each call that the run waits for."""

    tool_outputs: list[ToolOutput]
    stream: bool | None = None

    def outputs(self) -> list[tuple[str, str]]:
        """The id of each call, and its output."""
        return [(one.tool_call_id, one.output or "") for one in self.tool_outputs]
