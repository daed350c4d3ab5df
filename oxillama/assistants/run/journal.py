"""What a run writes: its steps and messages. Each change is stored and then announced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.records import (
    FileSearchToolCall,
    FunctionToolCall,
    IncompleteDetails,
    Run,
    RunStatus,
    RunStep,
    RunStepStatus,
    StepFunction,
    StepToolCall,
    ThreadMessage,
    TokenUsage,
    transitions,
)
from oxillama.assistants.run.events import (
    ArgumentsDelta,
    CallBegan,
    InProgress,
    MessageCreated,
    MessageDelta,
    MessageEnded,
    MessageInProgress,
    RequiresAction,
    StepCreated,
    StepEnded,
    StepInProgress,
    ended,
)
from oxillama.assistants.run.tools.passages import Citations, searches_of
from oxillama.errors import ObjectNotFoundError
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from oxillama.assistants.run.context import RunContext
    from oxillama.assistants.run.live import LiveRun
    from oxillama.assistants.run.outcome import Outcome


class Journal:
    """The steps and messages of one run.

    steps: those that have ended, oldest first. open: the one that has not. usage: of the reply that is being written.
    """

    def __init__(self, live: LiveRun, context: RunContext, run: Run) -> None:
        self.run = run
        self.steps: list[RunStep] = []
        self.open: RunStep | None = None
        self.usage: TokenUsage | None = None
        self.answered = False
        """The message that ends the run is stored."""
        self._ids = run.thread_id, run.id
        self._store = context.store
        self._in_thread = context.in_thread
        self._announce = live.broadcast.send
        self._message: ThreadMessage | None = None
        self._pieces: list[str] = []
        self._citations = Citations([])
        self._accounted: TokenUsage | None = None  # what of `usage` belongs to steps that have ended
        self._reopened: RunStep | None = None  # of an attempt before a restart, to be used again
        self._told = False  # that attempt stored the text of the reply that is being written

    async def load(self) -> None:
        """Read what the run has written before."""
        known = await self._in_thread(self._store.steps.list, *self._ids)
        self.steps = [step for step in known if step.status.is_terminal]
        self.open = next((step for step in known if not step.status.is_terminal), None)
        if self.run.status is not RunStatus.REQUIRES_ACTION:
            self._reopened, self.open = self.open, None
            if self._reopened is not None and await self._is_stored(self._reopened.message_id):
                self.open, self._reopened = self._reopened, None
                await self._end_step(RunStepStatus.COMPLETED)
        self._told = bool(self.steps) and self.steps[-1].message_id is not None

    async def _is_stored(self, message_id: str | None) -> bool:
        if message_id is None:
            return False
        try:
            await self._in_thread(self._store.messages.get, self._ids[0], message_id)
        except ObjectNotFoundError:
            return False
        return True

    async def begin(self, lifetime: float) -> None:
        """A worker begins the run, or goes on with it. Raises StateConflictError if it must not."""
        self.run = await self._in_thread(self._store.runs.begin, *self._ids, lifetime)
        self._announce(InProgress(self.run))

    # -- the text of a reply -----------------------------------------------------------------------------------------

    async def begin_message(self) -> None:
        """Begin the message of a reply, if it has not begun."""
        if self._message is not None or self._told:
            return
        again = self._reopened
        message_id = (again and again.message_id) or new_id("msg")
        step_id = again.id if again is not None else new_id("step")
        now = self._store.now()
        step = await self._begin_step(RunStep.new_message_creation(step_id, self.run, message_id, now))
        self._message = ThreadMessage.new_assistant(message_id, self.run, now)
        self._pieces, self._citations = [], Citations(searches_of(self.steps))
        for event in (
            StepCreated(step),
            StepInProgress(step),
            MessageCreated(self._message),
            MessageInProgress(self._message),
        ):
            self._announce(event)

    async def write(self, text: str) -> None:
        """Add to the message. If an attempt before a restart stored it already, it stays as it is."""
        if self._told:
            return
        await self.begin_message()
        assert self._message is not None
        first, known = not self._pieces, len(self._citations.annotations)
        self._pieces.append(text)
        new = tuple({"index": n, **one} for n, one in enumerate(self._citations.add(text), known))
        self._announce(MessageDelta(self._message.id, text, first, new))

    async def _end_message(self, status: RunStatus, *, interim: bool = False) -> None:
        if self._message is None:
            return
        text = "".join(self._pieces)
        message = transitions.end_message(
            self._message, text, status, self._store.now(), self._total(), self._citations.annotations
        )
        message = msgspec.structs.replace(message, interim=interim)
        message = await self._in_thread(self._store.messages.append, self._ids[0], message)
        self._message = None
        self.answered = not interim
        self._announce(MessageEnded(message))

    # -- the calls of a reply ----------------------------------------------------------------------------------------

    async def begin_call(self, call: StepToolCall) -> None:
        """Begin a call, and with the first one the step. Text before it is a message of its own."""
        if self.open is None or self.open.type != "tool_calls":
            if self._message is not None:
                await self._end_message(RunStatus.COMPLETED, interim=True)
                await self._end_step(RunStepStatus.COMPLETED)
            step_id = self._reopened.id if self._reopened is not None else new_id("step")
            step = await self._begin_step(RunStep.new_tool_calls(step_id, self.run, self._store.now()))
            self._announce(StepCreated(step))
            self._announce(StepInProgress(step))
        assert self.open is not None
        self.open = self.open.with_calls([*self.open.tool_calls, call])
        name = call.function.name if isinstance(call, FunctionToolCall) else None
        self._announce(CallBegan(self.open.id, len(self.open.tool_calls) - 1, call.id, name))

    def add_arguments(self, index: int, text: str) -> None:
        """Add to the arguments of a call."""
        assert self.open is not None
        calls = list(self.open.tool_calls)
        call = calls[index]
        if isinstance(call, FunctionToolCall):
            function = StepFunction(call.function.name, call.function.arguments + text)
            calls[index] = FunctionToolCall(call.id, function)
            self._announce(ArgumentsDelta(self.open.id, index, text))
        else:
            calls[index] = msgspec.structs.replace(call, arguments=(call.arguments or "") + text)
        self.open = self.open.with_calls(calls)

    def set_reply(self, content: str, reasoning: str) -> None:
        """Keep what else the reply with the calls says, for the prompts that follow."""
        assert self.open is not None
        self.open = msgspec.structs.replace(self.open, content=content, reasoning=reasoning)

    def set_results(self, calls: Sequence[FileSearchToolCall]) -> None:
        """Keep the results of searches, each with the id of its call."""
        assert self.open is not None
        known = {call.id: call for call in calls}
        self.open = self.open.with_calls([known.get(call.id, call) for call in self.open.tool_calls])

    async def end_calls(self) -> None:
        """All calls of the step have their results."""
        await self._end_step(RunStepStatus.COMPLETED)
        self._end_reply()

    async def require_action(self) -> None:
        """The client has to answer the calls of the step."""
        assert self.open is not None
        self.open = await self._in_thread(
            self._store.steps.replace, msgspec.structs.replace(self.open, usage=self._unaccounted())
        )
        action = transitions.required_action(self.open.tool_calls)
        usage = transitions.total_usage(step.usage for step in (*self.steps, self.open))
        self.run = await self._in_thread(
            self._store.runs.update_status,
            *self._ids,
            RunStatus.REQUIRES_ACTION,
            required_action=action,
            usage=usage,
            attempts=0,
        )
        self._end_reply()
        self._announce(RequiresAction(self.run))

    # -- the end -----------------------------------------------------------------------------------------------------

    async def finish(self, outcome: Outcome) -> None:
        """Store the end of what is open, and of the run. May be called again after an error."""
        await self._end_message(outcome.status)
        if self.open is not None:
            status = transitions.step_status(outcome.status, self.open)
            await self._end_step(status, outcome)
        await self.end_run(outcome)

    async def end_run(self, outcome: Outcome) -> None:
        """Store the end of the run. What is open of it ends in the store alone."""
        fields: dict[str, Any] = {"usage": self._total()}
        if outcome.error is not None:
            fields["last_error"] = outcome.error
        if outcome.incomplete is not None:
            fields["incomplete_details"] = IncompleteDetails(outcome.incomplete)
        self.run = await self._in_thread(self._store.runs.update_status, *self._ids, outcome.status, **fields)
        self._announce(ended(self.run))

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _begin_step(self, step: RunStep) -> RunStep:
        if self._reopened is None:
            step = await self._in_thread(self._store.steps.append, step)
        else:
            again = msgspec.structs.replace(step, created_at=self._reopened.created_at)
            step = await self._in_thread(self._store.steps.replace, again)
        self.open, self._reopened = step, None
        return step

    async def _end_step(self, status: RunStepStatus, outcome: Outcome | None = None) -> None:
        assert self.open is not None
        usage = self.open.usage or self._unaccounted()
        error = outcome.error if outcome is not None and status is RunStepStatus.FAILED else None
        step = transitions.move_step(self.open, status, self._store.now(), usage=usage, last_error=error)
        step = await self._in_thread(self._store.steps.replace, step)
        self._accounted = transitions.total_usage((self._accounted, usage))
        self.steps.append(step)
        self.open = None
        self._announce(StepEnded(step))

    def _end_reply(self) -> None:
        self.usage = self._accounted = None
        self._told = False

    def _unaccounted(self) -> TokenUsage | None:
        """The usage of the reply that belongs to no step yet."""
        return transitions.rest_of_usage(self.usage, (self._accounted,))

    def _total(self) -> TokenUsage | None:
        """The usage of the run up to now."""
        waiting = None if self.open is None else self.open.usage
        return transitions.total_usage((*(step.usage for step in self.steps), waiting or self._unaccounted()))
