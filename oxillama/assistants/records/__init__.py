"""Assistants, threads, messages, runs and steps: what is stored, and what goes over the wire.

Ids, and the thread or run that an object belongs to, come from the place where a record lies and not from its content.
"""

from oxillama.assistants.records.assistant import Assistant
from oxillama.assistants.records.common import IncompleteDetails, Metadata, RunError, TokenUsage
from oxillama.assistants.records.message import MessageStatus, Role, TextContent, TextValue, ThreadMessage
from oxillama.assistants.records.run import RUN_LIFETIME_S, Run, RunStatus
from oxillama.assistants.records.step import (
    MessageCreation,
    MessageCreationStepDetails,
    RunStep,
    RunStepStatus,
)
from oxillama.assistants.records.thread import ActiveRun, Thread

__all__ = [
    "RUN_LIFETIME_S",
    "ActiveRun",
    "Assistant",
    "IncompleteDetails",
    "MessageCreation",
    "MessageCreationStepDetails",
    "MessageStatus",
    "Metadata",
    "Role",
    "Run",
    "RunError",
    "RunStatus",
    "RunStep",
    "RunStepStatus",
    "TextContent",
    "TextValue",
    "Thread",
    "ThreadMessage",
    "TokenUsage",
]
