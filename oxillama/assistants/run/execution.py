"""The execution of one run, from its prompt to its end. Each step is stored and then announced.

An end that cannot be stored is announced only if every later start of the server will find the same end.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import trio

from oxillama.assistants.records import (
    CachedPromptTokens,
    IncompleteDetails,
    Run,
    RunStatus,
    RunStep,
    ThreadMessage,
    TokenUsage,
    transitions,
)
from oxillama.assistants.run.events import (
    InProgress,
    MessageCreated,
    MessageDelta,
    MessageEnded,
    MessageInProgress,
    StepCreated,
    StepEnded,
    StepInProgress,
    ended,
)
from oxillama.assistants.run.live import LiveRun, LiveRuns
from oxillama.assistants.run.outcome import Outcome
from oxillama.assistants.run.prompt import PromptBudgetError, build_prompt
from oxillama.assistants.store.store import Store
from oxillama.chat import Exchange
from oxillama.chat.reply.events import Content
from oxillama.concurrency import Offload
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import SamplingParams
from oxillama.errors import (
    EngineClosedError,
    ObjectNotFoundError,
    StateConflictError,
    StoreError,
    StoreFullError,
)
from oxillama.storage.ids import new_id

MAX_WRITE_DELAY_S = 30.0
MAX_WRITE_WAIT_S = 300.0
"""How long storing a run's end is retried on a full disk before the run is given up, in seconds."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunContext:
    """The objects that all executions share."""

    store: Store
    engine: EngineLike
    live: LiveRuns
    in_thread: Offload
    isolate: bool = False
    """Runs share computed prompts only with runs of the same thread."""
    stopping: bool = False
    """The server is draining: it begins no more runs and leaves waiting runs to the next start."""


class StoppingError(Exception):
    """The run is left to the server's next start."""


class RunExecution:
    """One run, and what has been stored and announced of it so far."""

    def __init__(self, live: LiveRun, context: RunContext) -> None:
        self._ids = live.thread_id, live.run_id
        self._context = context
        self._store = context.store
        self._engine = context.engine
        self._in_thread = context.in_thread
        self._announce = live.broadcast.send
        self.run: Run | None = None
        self._step: RunStep | None = None
        self._message: ThreadMessage | None = None
        self._pieces: list[str] = []
        self._usage: TokenUsage | None = None
        self._outcome: Outcome | None = None
        self._message_stored = False
        self._step_stored = False

    # -- generating --------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the run. Raises ObjectNotFoundError; StateConflictError when it has ended already."""
        run = await self._in_thread(self._store.runs.get, *self._ids)
        if run.status.is_terminal:  # cancelled while it was being queued
            self._announce(ended(run))
            raise StateConflictError(f"Run {run.id} has ended with status '{run.status}'.")
        self.run = run

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client can continue the run."""
        return self.run is not None and self.run.status is RunStatus.REQUIRES_ACTION

    def seconds_left(self) -> float:
        """Seconds until the run expires."""
        assert self.run is not None
        return float("inf") if self.run.expires_at is None else self.run.expires_at - self._store.now()

    async def generate(self) -> Outcome:
        """Generate the answer. Raises StoppingError when the server is stopping and the engine has closed."""
        self.require_going_on()
        try:
            return await self._generate()
        except EngineClosedError:
            self.require_going_on()
            raise

    def require_going_on(self) -> None:
        """Raise StoppingError if the server is stopping."""
        if self._context.stopping:
            raise StoppingError

    async def _generate(self) -> Outcome:
        await self._begin()
        assert self.run is not None
        messages = await self._in_thread(self._store.messages.list, self._ids[0])
        try:
            prompt = await build_prompt(self._engine, self.run, messages, scope=self._scope)
        except PromptBudgetError:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_prompt_tokens")
        if prompt.dropped:
            _log.info("messages left out of the prompt: run_id %s, dropped %s", self.run.id, prompt.dropped)
        await self._begin_step()
        return await self._generate_text(prompt.exchange)

    async def _begin(self) -> None:
        assert self.run is not None
        attempts = self.run.attempts + 1
        self.run = await self._update(RunStatus.IN_PROGRESS, attempts=attempts)
        self._announce(InProgress(self.run))

    async def _begin_step(self) -> None:
        assert self.run is not None
        steps = await self._in_thread(self._store.steps.list, *self._ids)
        step = next((step for step in steps if not step.status.is_terminal), None)  # from an attempt before a restart
        now = self._store.now()
        if step is None:
            step = RunStep.new_message_creation(new_id("step"), self.run, new_id("msg"), now)
            step = await self._in_thread(self._store.steps.append, step)
        self._step = step
        self._message = ThreadMessage.new_assistant(step.message_id, self.run, now)
        for event in (
            StepCreated(step),
            StepInProgress(step),
            MessageCreated(self._message),
            MessageInProgress(self._message),
        ):
            self._announce(event)

    @property
    def _scope(self) -> str | None:
        """With which other requests the run may share what is computed; None: with all."""
        return self._ids[0] if self._context.isolate else None

    async def _generate_text(self, exchange: Exchange) -> Outcome:
        """Generate the message. What the model thinks before it answers is not part of it."""
        assert self._message is not None
        request = exchange.request(self._sampling(), cache_scope=self._scope)
        finish_reason = None
        async with self._engine.generate(request) as stream:
            try:
                async for event in stream:
                    text = "".join(part.text for part in event.parts if isinstance(part, Content))
                    if text:
                        first = not self._pieces
                        self._pieces.append(text)
                        self._announce(MessageDelta(self._message.id, text, first))
                    finish_reason = event.finish_reason
            finally:
                usage = stream.usage
                self._usage = TokenUsage(
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    usage.total_tokens,
                    CachedPromptTokens(usage.cached_tokens),
                )
        # Without a budget, a text that the end of the context cuts off counts as complete: no budget was exceeded.
        if finish_reason == "length" and self.run is not None and self.run.max_completion_tokens is not None:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_completion_tokens")
        return Outcome(RunStatus.COMPLETED)

    def _sampling(self) -> SamplingParams:
        assert self.run is not None
        settings: dict[str, Any] = {"max_tokens": self.run.max_completion_tokens}
        if self.run.temperature is not None:
            settings["temperature"] = self.run.temperature
        if self.run.top_p is not None:
            settings["top_p"] = self.run.top_p
        return SamplingParams(**settings)

    # -- ending ------------------------------------------------------------------------------------------------------

    async def finish(self, outcome: Outcome) -> None:
        """Store the end and announce it. On a full disk, retry for MAX_WRITE_WAIT_S seconds, then give the run up."""
        self._outcome = outcome
        give_up_at = trio.current_time() + MAX_WRITE_WAIT_S
        delay = 1.0
        while True:
            with trio.CancelScope(shield=True):
                if await self._try_to_finish(outcome):
                    return
                if trio.current_time() >= give_up_at:
                    await self._abandon()
                    return
            await trio.sleep(delay)
            delay = min(2 * delay, MAX_WRITE_DELAY_S)

    async def interrupt(self) -> None:
        """Handle a stopping server. A run whose answer was partly streamed fails; others go back to the store."""
        outcome = self._outcome
        if outcome is None and self.run is not None and self.run.streamed and self._step is not None:
            outcome = Outcome(RunStatus.FAILED, transitions.INTERRUPTED)
        try:
            if outcome is None or not await self._try_to_finish(outcome):
                await self._in_thread(self._store.runs.release, *self._ids)
        except (StoreError, ObjectNotFoundError) as error:
            _log.warning("run left to the next start: run_id %s, %s", self._ids[1], error)

    async def _try_to_finish(self, outcome: Outcome) -> bool:
        """Store and announce the end. Returns False if there is no space and the caller must try again."""
        try:
            await self._finish(outcome)
        except StoreFullError as error:
            _log.warning("run cannot be stored yet: run_id %s, %s", self._ids[1], error)
            return False
        except (StateConflictError, ObjectNotFoundError) as error:
            _log.info("run ended elsewhere: run_id %s, %s", self._ids[1], error)
            await self._end_as_stored()
        except StoreError as error:
            # A stored message decides how the run ended. Without one the run has failed; try to store that.
            await self._end_without_answer(outcome if self._message_stored else Outcome.failed(error))
        return True

    async def _finish(self, outcome: Outcome) -> None:
        if self._message is not None and not self._message_stored:
            text = "".join(self._pieces)
            message = transitions.end_message(self._message, text, outcome.status, self._store.now(), self._usage)
            message = await self._in_thread(self._store.messages.append, self._ids[0], message)
            self._message_stored = True
            self._announce(MessageEnded(message))
        if self._step is not None and not self._step_stored:
            step = await self._in_thread(self._end_step, self._step, outcome)
            self._step_stored = True
            self._announce(StepEnded(step))
        await self._end(outcome)

    async def _end(self, outcome: Outcome) -> None:
        fields: dict[str, Any] = {"usage": self._usage}
        if outcome.error is not None:
            fields["last_error"] = outcome.error
        if outcome.incomplete is not None:
            fields["incomplete_details"] = IncompleteDetails(outcome.incomplete)
        self.run = await self._update(outcome.status, **fields)
        self._announce(ended(self.run))

    def _end_step(self, step: RunStep, outcome: Outcome) -> RunStep:
        status = transitions.step_status(outcome.status)
        error = outcome.error if outcome.status is RunStatus.FAILED else None
        return self._store.steps.update_status(
            step.thread_id, step.run_id, step.id, status, usage=self._usage, last_error=error
        )

    async def _update(self, status: RunStatus, **changes: Any) -> Run:
        return await self._in_thread(self._store.runs.update_status, *self._ids, status, **changes)

    async def _end_without_answer(self, outcome: Outcome) -> None:
        try:
            await self._end(outcome)
        except StoreError as error:
            _log.error("run cannot be stored: run_id %s, %s", self._ids[1], error)
            await self._abandon()

    async def _abandon(self) -> None:
        """Give the run up and announce the end that every later start will find, if there is one."""
        try:
            self.run = await self._in_thread(self._store.runs.abandon, *self._ids)
        except (StoreError, ObjectNotFoundError) as error:
            _log.error("run left to the next start: run_id %s, %s", self._ids[1], error)
            return
        _log.error("run given up, its end cannot be stored: run_id %s, status %s", self.run.id, self.run.status)
        self._announce(ended(self.run))

    async def _end_as_stored(self) -> None:
        """Announce the end that was stored elsewhere. A run whose thread was deleted is cancelled."""
        run = self.run
        try:
            run = await self._in_thread(self._store.runs.get, *self._ids)
        except ObjectNotFoundError:
            run = run and transitions.move_run(run, RunStatus.CANCELLED, self._store.now())
        except StoreError as error:
            _log.error("run cannot be read: run_id %s, %s", self._ids[1], error)
        if run is not None and run.status.is_terminal:
            self._announce(ended(run))
