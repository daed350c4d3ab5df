"""/v1/threads/{thread}/runs: the requests, and the run that is stored for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.assistants.records import RUN_LIFETIME_S, Assistant, Run, RunStatus
from oxillama.assistants.support import require_supported
from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.apis.threads.request import CreateThread
from oxillama.server.wire.fields import Metadata, ReasoningEffort, Temperature, Text, TopP
from oxillama.server.wire.formats import ResponseFormat, check_format
from oxillama.server.wire.invalid import missing_parameter
from oxillama.server.wire.tools import Tool, ToolChoice, ToolResources, check_tools
from oxillama.storage.ids import new_id

TokenBudget = Annotated[int, msgspec.Meta(ge=256, le=2**31 - 1)]


class TruncationStrategy(msgspec.Struct, kw_only=True):
    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


class RunFields(msgspec.Struct, kw_only=True):
    """What both ways to create a run have in common."""

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
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None

    def record(self, assistant: Assistant, thread_id: str, model: str, now: int, additional: str = "") -> Run:
        """The run to store, with everything resolved; the request's fields win over the assistant's.

        additional: instructions behind those. Raises InvalidParameterError for what no run could honour.
        """
        self._check()
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

    def _check(self) -> None:
        """Raise APIError for what types cannot say."""
        check_tools(self.tools)
        check_format(self.response_format)
        strategy = self.truncation_strategy
        if strategy is not None and strategy.type == "last_messages" and strategy.last_messages is None:
            raise missing_parameter("truncation_strategy.last_messages")


class CreateRun(RunFields, kw_only=True):
    additional_instructions: Text | None = None
    additional_messages: list[CreateMessage] | None = None


class CreateThreadAndRun(RunFields, kw_only=True):
    thread: CreateThread | None = None
    tool_resources: ToolResources | None = None
