"""Run steps, and the tool calls in them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal

import msgspec

from oxillama.assistants.records.common import Metadata, RunError, TokenUsage
from oxillama.storage.record import Record

if TYPE_CHECKING:
    from oxillama.assistants.records.run import Run

StepType = Literal["message_creation", "tool_calls"]


class RunStepStatus(enum.StrEnum):
    """The status of a step."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self is not RunStepStatus.IN_PROGRESS


class MessageCreation(msgspec.Struct, frozen=True):
    """The message that a step writes."""

    message_id: str


class MessageCreationStepDetails(msgspec.Struct, frozen=True, tag_field="type", tag="message_creation"):
    """The details of a step that writes a message."""

    message_creation: MessageCreation


class StepFunction(msgspec.Struct, frozen=True):
    """A call of a client's function. output: what the client submitted; None until then."""

    name: str
    arguments: str
    output: str | None = None


class FunctionToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A call that the client answers."""

    id: str
    function: StepFunction


class ResultContent(msgspec.Struct, frozen=True):
    """A passage of a file."""

    text: str
    type: Literal["text"] = "text"


class FileSearchResult(msgspec.Struct, frozen=True):
    """A passage that a search found, and how well it fits: from 0 to 1."""

    file_id: str
    file_name: str
    score: float
    content: list[ResultContent] = []


class FileSearchRanking(msgspec.Struct, frozen=True):
    """How results are ranked, and the least score of a result."""

    ranker: str = "default_2024_08_21"
    score_threshold: float = 0.0


class FileSearch(msgspec.Struct, frozen=True):
    """What a search gave, best first."""

    ranking_options: FileSearchRanking = FileSearchRanking()
    results: list[FileSearchResult] = []


class FileSearchToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="file_search"):
    """A search that the server makes.

    arguments: as the model wrote them; None: the model cannot call tools, and the server searched for the question.
    problem: what the model is told instead of results.
    """

    id: str
    file_search: FileSearch = FileSearch()
    arguments: str | None = None
    problem: str | None = None


StepToolCall = FunctionToolCall | FileSearchToolCall


class ToolCallsStepDetails(msgspec.Struct, frozen=True, tag_field="type", tag="tool_calls"):
    """The details of a step that calls tools: all calls of one reply of the model."""

    tool_calls: list[StepToolCall] = []


class RunStep(Record, frozen=True, kw_only=True):
    """One action of a run.

    reasoning, content: what else the model wrote in the reply that called the tools, for the prompts that follow.
    """

    run_id: str = ""
    assistant_id: str
    thread_id: str = ""
    type: StepType = "message_creation"
    status: RunStepStatus
    step_details: MessageCreationStepDetails | ToolCallsStepDetails
    last_error: RunError | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    cancelled_at: int | None = None
    failed_at: int | None = None
    completed_at: int | None = None
    metadata: Metadata | None = None
    usage: TokenUsage | None = None
    reasoning: str = ""
    content: str = ""

    @classmethod
    def new_message_creation(cls, step_id: str, run: Run, message_id: str, created_at: int) -> RunStep:
        """An open step that names the message it will write."""
        return cls(
            id=step_id,
            created_at=created_at,
            run_id=run.id,
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            status=RunStepStatus.IN_PROGRESS,
            step_details=MessageCreationStepDetails(MessageCreation(message_id)),
            expires_at=run.expires_at,
        )

    @classmethod
    def new_tool_calls(cls, step_id: str, run: Run, created_at: int) -> RunStep:
        """An open step that will call tools."""
        return cls(
            id=step_id,
            created_at=created_at,
            run_id=run.id,
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            type="tool_calls",
            status=RunStepStatus.IN_PROGRESS,
            step_details=ToolCallsStepDetails(),
            expires_at=run.expires_at,
        )

    @property
    def message_id(self) -> str | None:
        """The message that the step writes, if it writes one."""
        details = self.step_details
        return details.message_creation.message_id if isinstance(details, MessageCreationStepDetails) else None

    @property
    def tool_calls(self) -> list[StepToolCall]:
        """The calls of the step."""
        details = self.step_details
        return details.tool_calls if isinstance(details, ToolCallsStepDetails) else []

    def with_calls(self, calls: list[StepToolCall]) -> RunStep:
        """The step with these calls."""
        return msgspec.structs.replace(self, step_details=ToolCallsStepDetails(calls))
