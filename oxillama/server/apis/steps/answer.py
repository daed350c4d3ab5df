"""/v1/threads/{thread}/runs/{run}/steps: the answers."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from oxillama.assistants.records import (
    FileSearchRanking,
    FileSearchToolCall,
    FunctionToolCall,
    MessageCreationStepDetails,
    ResultContent,
    RunError,
    RunStepStatus,
    TokenUsage,
    ToolCallsStepDetails,
)
from oxillama.server.wire.answer import Answer, RecordAnswer


class FileSearchResultObject(Answer, kw_only=True):
    """A passage that a search found. Its text is there only if the request asked for it with `include`."""

    file_id: str
    file_name: str
    score: float
    content: list[ResultContent] | msgspec.UnsetType = msgspec.UNSET


class FileSearchObject(Answer, kw_only=True):
    """What a search found, best first."""

    ranking_options: FileSearchRanking
    results: list[FileSearchResultObject]


class FileSearchCall(Answer, kw_only=True, tag_field="type", tag="file_search"):
    """A search in files that the server made."""

    id: str
    file_search: FileSearchObject

    @classmethod
    def of(cls, call: FileSearchToolCall, *, content: bool) -> FileSearchCall:
        """A search; `content`: with the texts of what it found."""
        results = [
            FileSearchResultObject(
                file_id=result.file_id,
                file_name=result.file_name,
                score=result.score,
                content=result.content if content else msgspec.UNSET,
            )
            for result in call.file_search.results
        ]
        found = FileSearchObject(ranking_options=call.file_search.ranking_options, results=results)
        return cls(id=call.id, file_search=found)


class ToolCallsDetails(Answer, kw_only=True, tag_field="type", tag="tool_calls"):
    """The calls of a step."""

    tool_calls: list[FunctionToolCall | FileSearchCall]


class RunStepObject(RecordAnswer, kw_only=True):
    """One action of a run."""

    id: str
    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: Literal["message_creation", "tool_calls"]
    status: RunStepStatus
    step_details: MessageCreationStepDetails | ToolCallsDetails
    last_error: RunError | None
    expires_at: int | None
    expired_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    metadata: dict[str, str] | None
    usage: TokenUsage | None

    @classmethod
    def of(cls, record: Any, *, content: bool = False) -> Self:
        """The answer for a step. content: with the texts that searches found.

        What a step costs is known before it ends, if it waits for the client; it is told when it has ended.
        """
        fields = {name: getattr(record, name) for name in cls.__struct_fields__ if name != "object"}
        if isinstance(record.step_details, ToolCallsStepDetails):
            calls = [
                FileSearchCall.of(call, content=content) if isinstance(call, FileSearchToolCall) else call
                for call in record.tool_calls
            ]
            fields["step_details"] = ToolCallsDetails(tool_calls=calls)
        if not record.status.is_terminal:
            fields["usage"] = None
        return cls(**fields)


class StepFunctionDelta(Answer, kw_only=True):
    """The next piece of a call's arguments. The first one has the name, and the output that is to come."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    arguments: str
    output: msgspec.UnsetType | None = msgspec.UNSET


class FunctionCallDelta(Answer, kw_only=True, tag_field="type", tag="function"):
    """The new part of a call. Only the first one has the id."""

    index: int
    id: str | msgspec.UnsetType = msgspec.UNSET
    function: StepFunctionDelta


class NoResults(Answer):
    """The results come with the end of the step."""


class FileSearchCallDelta(Answer, kw_only=True, tag_field="type", tag="file_search"):
    """A search that has begun."""

    index: int
    id: str
    file_search: NoResults


class ToolCallsDelta(Answer, kw_only=True, tag_field="type", tag="tool_calls"):
    tool_calls: list[FunctionCallDelta | FileSearchCallDelta]


class StepDelta(Answer, kw_only=True):
    step_details: ToolCallsDelta


class RunStepDeltaObject(Answer, kw_only=True):
    """The new part of a step that calls tools."""

    id: str
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"
    delta: StepDelta

    @classmethod
    def of(cls, step_id: str, call: FunctionCallDelta | FileSearchCallDelta) -> RunStepDeltaObject:
        """The new part of one call."""
        return cls(id=step_id, delta=StepDelta(step_details=ToolCallsDelta(tool_calls=[call])))
