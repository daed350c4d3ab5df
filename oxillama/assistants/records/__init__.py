"""Assistants, threads, messages, runs and steps, as they are stored.

The id of an object, and the thread or run it belongs to, come from its row, not from its JSON.
"""

from oxillama.assistants.records.assistant import Assistant
from oxillama.assistants.records.common import CachedPromptTokens, IncompleteDetails, Metadata, RunError, TokenUsage
from oxillama.assistants.records.message import (
    Content,
    Detail,
    ImageFile,
    ImageFileContent,
    ImageURL,
    ImageURLContent,
    MessageStatus,
    RefusalContent,
    Role,
    TextContent,
    TextValue,
    ThreadMessage,
)
from oxillama.assistants.records.run import RUN_LIFETIME_S, Run, RunStatus
from oxillama.assistants.records.step import (
    FileSearch,
    FileSearchRanking,
    FileSearchResult,
    FileSearchToolCall,
    FunctionToolCall,
    MessageCreation,
    MessageCreationStepDetails,
    ResultContent,
    RunStep,
    RunStepStatus,
    StepFunction,
    StepToolCall,
    ToolCallsStepDetails,
)
from oxillama.assistants.records.thread import Thread

__all__ = [
    "RUN_LIFETIME_S",
    "Assistant",
    "CachedPromptTokens",
    "Content",
    "Detail",
    "FileSearch",
    "FileSearchRanking",
    "FileSearchResult",
    "FileSearchToolCall",
    "FunctionToolCall",
    "ImageFile",
    "ImageFileContent",
    "ImageURL",
    "ImageURLContent",
    "IncompleteDetails",
    "MessageCreation",
    "MessageCreationStepDetails",
    "MessageStatus",
    "Metadata",
    "RefusalContent",
    "ResultContent",
    "Role",
    "Run",
    "RunError",
    "RunStatus",
    "RunStep",
    "RunStepStatus",
    "StepFunction",
    "StepToolCall",
    "TextContent",
    "TextValue",
    "Thread",
    "ThreadMessage",
    "TokenUsage",
    "ToolCallsStepDetails",
]
