"""Threads, messages and runs for tests."""

from __future__ import annotations

from typing import Any

from oxillama.assistants.records import Run, RunStatus, RunStep, Thread, ThreadMessage
from oxillama.storage.ids import new_id

NOW = 1_700_000_000


def a_thread(**changes: Any) -> Thread:
    return Thread(**{"id": new_id("thread"), "created_at": NOW, **changes})


def a_message(text: str = "Hello", **changes: Any) -> ThreadMessage:
    return ThreadMessage.new_user(changes.pop("id", new_id("msg")), text, changes.pop("created_at", NOW), **changes)


def a_run(thread_id: str, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "id": new_id("run"),
        "created_at": NOW,
        "thread_id": thread_id,
        "assistant_id": "asst_" + "a" * 24,
        "status": RunStatus.QUEUED,
        "expires_at": NOW + 600,
        "model": "fake-model",
    }
    return Run(**{**fields, **changes})


def a_step(run: Run, **changes: Any) -> RunStep:
    return RunStep.new_message_creation(
        changes.pop("id", new_id("step")), run, changes.pop("message_id", new_id("msg")), NOW
    )
