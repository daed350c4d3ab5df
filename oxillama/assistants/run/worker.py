"""The run worker: takes runs from the queue, as many at once as the engine has slots, and brings each to an end.

A status is stored before it is announced. Whatever happens inside a run (a failure, a cancellation, its expiry, the
server's shutdown) ends in `_Course.finish` or gives the run back to the store, so none stays unfinished.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import trio

from oxillama.assistants.prompt import PromptBudgetError, build_prompt
from oxillama.assistants.records.types import (
    IncompleteDetails,
    Run,
    RunError,
    RunStatus,
    RunStep,
    ThreadMessage,
    TokenUsage,
)
from oxillama.assistants.run import transitions
from oxillama.assistants.run.events import (
    Broadcast,
    InProgress,
    MessageCreated,
    MessageDelta,
    MessageEnded,
    MessageInProgress,
    StepCreated,
    StepEnded,
    StepInProgress,
    ended,
    maybe_broadcast,
)
from oxillama.assistants.run.live import LiveRun, LiveRuns
from oxillama.assistants.run.queue import RunQueueReceiver, RunWorkItem
from oxillama.assistants.store.store import ThreadStore
from oxillama.concurrency import Offload, single
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import GenerationRequest, SamplingParams
from oxillama.errors import (
    EngineClosedError,
    ObjectNotFoundError,
    OxillamaError,
    StateConflictError,
    StoreError,
    StoreFullError,
)
from oxillama.storage.ids import new_id

MAX_WRITE_DELAY_S = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, before that is stored."""

    status: RunStatus
    error: RunError | None = None
    incomplete: str | None = None

    @classmethod
    def failed(cls, error: BaseException) -> Outcome:
        if isinstance(error, StoreError):  # its words name paths, which are for the log
            _log.error("run failed: %s", error)
            return cls(RunStatus.FAILED, RunError("server_error", "The server could not store the run."))
        if isinstance(error, OxillamaError):
            return cls(RunStatus.FAILED, RunError("server_error", str(error)))
        _log.error("run failed", exc_info=error)
        return cls(RunStatus.FAILED, RunError("server_error", "The server had an error while processing the run."))


@dataclass(slots=True)
class RunContext:
    """What every run needs."""

    store: ThreadStore
    engine: EngineLike
    live: LiveRuns
    in_thread: Offload
    stopping: bool = False
    """Begin nothing any more: the server is draining, and the next one will do what is left."""


class _StoppingError(Exception):
    """The run has to be left to the next server."""


async def run_worker(receiver: RunQueueReceiver, context: RunContext) -> None:
    """Do runs until the queue is closed and empty, or until cancelled.

    Each run has a task from the moment it is queued, so that it can be cancelled and expire while it waits for a slot.
    """
    slots = trio.Semaphore(max(1, context.engine.n_slots))

    async def attend(item: RunWorkItem) -> None:
        live = context.live.get(item.run_id) or context.live.add(item.thread_id, item.run_id)
        try:
            await process_run(item, context, live, slots)
        finally:
            context.live.remove(live)
            receiver.done()

    async with trio.open_nursery() as nursery:
        async for item in receiver:
            nursery.start_soon(attend, item)


async def process_run(
    item: RunWorkItem, context: RunContext, live: LiveRun, slots: trio.Semaphore | None = None
) -> None:
    """Bring one queued run to its end. Raises nothing but Cancelled, and then the run is safe in the store."""
    course = _Course(item, context, live.broadcast)
    try:
        outcome = await _worked(course, live, slots or trio.Semaphore(1))
        if outcome is not None:
            await course.finish(outcome)
    except _StoppingError:
        await course.interrupt()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await course.interrupt()
        raise


async def _worked(course: _Course, live: LiveRun, slots: trio.Semaphore) -> Outcome | None:
    """Wait for a slot and generate; None if there is nothing to end."""
    outcome: Outcome | None = None
    with live.scope:
        try:
            await course.load()
            live.scope.deadline = trio.current_time() + course.seconds_left()
            async with slots:
                live.begun = True
                outcome = await course.generate()
        except _StoppingError:
            raise
        except (ObjectNotFoundError, StateConflictError):  # the thread was deleted, or the run is being cancelled
            outcome = Outcome(RunStatus.CANCELLED) if course.run is not None else None
        except Exception as error:
            outcome = Outcome.failed(single(error))
    if live.scope.cancelled_caught:
        if not live.begun and not live.cancel_requested:
            course.go_on()
        return Outcome(RunStatus.CANCELLED if live.cancel_requested else RunStatus.EXPIRED)
    return outcome


class _Course:
    """One run on its way: what has been stored and announced of it so far."""

    def __init__(self, item: RunWorkItem, context: RunContext, broadcast: Broadcast) -> None:
        self._item = item
        self._context = context
        self._store = context.store
        self._engine = context.engine
        self._in_thread = context.in_thread
        self._broadcast = broadcast
        self.run: Run | None = None
        self._step: RunStep | None = None
        self._message: ThreadMessage | None = None
        self._pieces: list[str] = []
        self._usage: TokenUsage | None = None
        self._message_stored = False
        self._step_stored = False

    # -- generating --------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the run. Raises ObjectNotFoundError; StateConflictError when it has ended already."""
        run = await self._in_thread(self._store.get_run, self._item.thread_id, self._item.run_id)
        if run.status.is_terminal:  # cancelled while it was being queued
            maybe_broadcast(self._broadcast, ended(run))
            raise StateConflictError(f"Run {run.id} has ended with status '{run.status}'.")
        self.run = run

    def seconds_left(self) -> float:
        """Until the run expires."""
        assert self.run is not None
        return float("inf") if self.run.expires_at is None else self.run.expires_at - self._store.now()

    async def generate(self) -> Outcome:
        """From in_progress to the last token. Raises _StoppingError when there is no engine for it any more."""
        self.go_on()
        try:
            return await self._generate()
        except EngineClosedError:
            self.go_on()
            raise

    def go_on(self) -> None:
        """Raises _StoppingError once the server is stopping."""
        if self._context.stopping:
            raise _StoppingError

    async def _generate(self) -> Outcome:
        await self._begin()
        assert self.run is not None
        messages = await self._in_thread(self._store.list_messages, self._item.thread_id)
        try:
            prompt = await build_prompt(self._engine, self.run, messages)
        except PromptBudgetError:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_prompt_tokens")
        if prompt.dropped:
            _log.info("messages left out of the prompt: run_id %s, dropped %s", self.run.id, prompt.dropped)
        await self._begin_step()
        return await self._generate_text(prompt.ids)

    async def _begin(self) -> None:
        assert self.run is not None
        attempts = self.run.attempts + 1
        self.run = await self._update(RunStatus.IN_PROGRESS, attempts=attempts)
        maybe_broadcast(self._broadcast, InProgress(self.run))

    async def _begin_step(self) -> None:
        assert self.run is not None
        steps = await self._in_thread(self._store.list_steps, self._item.thread_id, self._item.run_id)
        step = next((step for step in steps if not step.status.is_terminal), None)  # of an attempt before a restart
        now = self._store.now()
        if step is None:
            step = RunStep.new_message_creation(new_id("step"), self.run, new_id("msg"), now)
            step = await self._in_thread(self._store.append_step, step)
        self._step = step
        self._message = ThreadMessage.new_assistant(step.message_id, self.run, now)
        for event in (
            StepCreated(step),
            StepInProgress(step),
            MessageCreated(self._message),
            MessageInProgress(self._message),
        ):
            maybe_broadcast(self._broadcast, event)

    async def _generate_text(self, prompt_ids: tuple[int, ...]) -> Outcome:
        assert self._message is not None
        request = GenerationRequest(prompt_ids=prompt_ids, sampling=self._sampling(), cache_prompt=True)
        finish_reason = None
        async with self._engine.generate(request) as stream:
            try:
                async for event in stream:
                    if event.text:
                        first = not self._pieces
                        self._pieces.append(event.text)
                        maybe_broadcast(self._broadcast, MessageDelta(self._message.id, event.text, first))
                    finish_reason = event.finish_reason
            finally:
                usage = stream.usage
                self._usage = TokenUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        # Without a budget, the end of the context ends a text as its end token does: there was nothing to exceed.
        if finish_reason == "length" and self._item.max_tokens is not None:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_completion_tokens")
        return Outcome(RunStatus.COMPLETED)

    def _sampling(self) -> SamplingParams:
        assert self.run is not None
        settings: dict[str, Any] = {"max_tokens": self._item.max_tokens}
        if self.run.temperature is not None:
            settings["temperature"] = self.run.temperature
        if self.run.top_p is not None:
            settings["top_p"] = self.run.top_p
        return SamplingParams(**settings)

    # -- ending ------------------------------------------------------------------------------------------------------

    async def finish(self, outcome: Outcome) -> None:
        """Store the end and announce it. Without space it is tried again until there is some, or the server stops."""
        delay = 1.0
        while True:
            with trio.CancelScope(shield=True):
                if await self._try_to_finish(outcome):
                    return
            await trio.sleep(delay)
            delay = min(2 * delay, MAX_WRITE_DELAY_S)

    async def interrupt(self) -> None:
        """The server is stopping: end a run that somebody has read a part of, give any other back to be done again."""
        try:
            if self.run is not None and self.run.streamed and self._step is not None:
                await self._try_to_finish(Outcome(RunStatus.FAILED, transitions.INTERRUPTED))
            else:
                await self._in_thread(self._store.release_run, self._item.thread_id, self._item.run_id)
        except (StoreError, ObjectNotFoundError) as error:
            _log.warning("run left to the next start: run_id %s, %s", self._item.run_id, error)

    async def _try_to_finish(self, outcome: Outcome) -> bool:
        """Whether the run needs no more of this worker."""
        try:
            await self._finish(outcome)
        except StoreFullError as error:
            _log.warning("run cannot be stored yet: run_id %s, %s", self._item.run_id, error)
            return False
        except (StateConflictError, ObjectNotFoundError) as error:
            _log.info("run ended elsewhere: run_id %s, %s", self._item.run_id, error)
            self._announce_unstored(Outcome(RunStatus.CANCELLED))
        except StoreError as error:
            await self._fail(Outcome.failed(error))
        return True

    async def _fail(self, outcome: Outcome) -> None:
        """The answer cannot be stored; perhaps that it cannot, can."""
        try:
            self.run = await self._update(outcome.status, **self._end_fields(outcome))
            maybe_broadcast(self._broadcast, ended(self.run))
        except StoreError as error:
            _log.error("run cannot be stored: run_id %s, %s", self._item.run_id, error)
            lost = self._announce_unstored(outcome)
            if lost is not None:
                await self._in_thread(self._store.show_lost, lost)

    async def _finish(self, outcome: Outcome) -> None:
        if self._message is not None and not self._message_stored:
            text = "".join(self._pieces)
            message = transitions.end_message(self._message, text, outcome.status, self._store.now(), self._usage)
            message = await self._in_thread(self._store.append_message, self._item.thread_id, message)
            self._message_stored = True
            maybe_broadcast(self._broadcast, MessageEnded(message))
        if self._step is not None and not self._step_stored:
            step = await self._in_thread(self._end_step, self._step, outcome)
            self._step_stored = True
            maybe_broadcast(self._broadcast, StepEnded(step))
        self.run = await self._update(outcome.status, **self._end_fields(outcome))
        maybe_broadcast(self._broadcast, ended(self.run))

    def _end_step(self, step: RunStep, outcome: Outcome) -> RunStep:
        status = transitions.step_status(outcome.status)
        error = outcome.error if outcome.status is RunStatus.FAILED else None
        return self._store.update_step_status(
            step.thread_id, step.run_id, step.id, status, usage=self._usage, last_error=error
        )

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        fields: dict[str, Any] = {"usage": self._usage}
        if outcome.error is not None:
            fields["last_error"] = outcome.error
        if outcome.incomplete is not None:
            fields["incomplete_details"] = IncompleteDetails(outcome.incomplete)
        return fields

    async def _update(self, status: RunStatus, **changes: Any) -> Run:
        item = self._item

        def update() -> Run:
            return self._store.update_run_status(item.thread_id, item.run_id, status, **changes)

        return await self._in_thread(update)

    def _announce_unstored(self, outcome: Outcome) -> Run | None:
        """Watchers must learn of an end even where it cannot be stored."""
        if self.run is None:
            return None
        self.run = transitions.move_run(self.run, outcome.status, self._store.now(), **self._end_fields(outcome))
        maybe_broadcast(self._broadcast, ended(self.run))
        return self.run
