"""Creates runs on an open data directory, and waits for their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.assistants.service import Assistants
from tests.support.records import a_message, a_run, a_thread

if TYPE_CHECKING:
    from oxillama.assistants.records import Run
    from oxillama.assistants.run.events import RunEvent
    from oxillama.assistants.run.following.broadcast import Subscription
    from oxillama.assistants.run.live import LiveRun


class Client:
    """A client of the Assistants API without HTTP."""

    def __init__(self, assistants: Assistants) -> None:
        self.assistants = assistants
        self.store = assistants.store

    async def start(self, *texts: str, **run: Any) -> tuple[Run, LiveRun, Subscription]:
        """Create a thread with these messages and a run on it; returns the run and its events."""
        thread = a_thread()
        messages = [a_message(text) for text in texts]
        run.setdefault("streamed", True)
        made, live = await self.assistants.create_run(a_run(thread.id, **run), messages, thread=thread)
        return made, live, live.broadcast.subscribe()

    async def done(self, *texts: str, **run: Any) -> tuple[Run, list[RunEvent]]:
        """Like `start`, but waits for the run's end; returns the ended run and all events."""
        made, _, subscription = await self.start(*texts, **run)
        events = [event async for event in subscription]
        return self.store.runs.get(made.thread_id, made.id), events

    def answers(self, run: Run) -> list[str]:
        return [m.text_content for m in self.store.messages.list(run.thread_id) if m.role == "assistant"]
