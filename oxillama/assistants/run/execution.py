"""The execution of one run: replies of the model and results of tools in turn, up to its end or to a question to the
client.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import trio

from oxillama.assistants.records import (
    FileSearchToolCall,
    FunctionToolCall,
    Run,
    RunError,
    RunStatus,
    Thread,
    ThreadMessage,
    transitions,
)
from oxillama.assistants.run.context import RunContext, StoppingError
from oxillama.assistants.run.events import ended
from oxillama.assistants.run.journal import Journal
from oxillama.assistants.run.live import LiveRun
from oxillama.assistants.run.outcome import Outcome
from oxillama.assistants.run.prompt import ANSWER_SHARE, PromptBudgetError, build_prompt, messages_wanted
from oxillama.assistants.run.tools.offered import Offered, offered_by
from oxillama.assistants.run.tools.passages import query_of, searches_of
from oxillama.assistants.run.tools.searching import MOST_SEARCHES, search, searches
from oxillama.assistants.run.turn import Turn, write_turn
from oxillama.chat import FittedPrompt, takes_tools
from oxillama.engine.api.types import SamplingParams
from oxillama.errors import EngineClosedError, StateConflictError
from oxillama.storage.ids import new_id

CUT_CALL = RunError("server_error", "The context was full before the model had completed its tool call.")
_log = logging.getLogger(__name__)


class RunExecution:
    """One run from its first reply to its end."""

    def __init__(self, live: LiveRun, context: RunContext) -> None:
        self.ids = live.thread_id, live.run_id
        self.journal: Journal | None = None
        self._live = live
        self._context = context
        self._store = context.store
        self._engine = context.engine
        self._in_thread = context.in_thread

    async def load(self) -> None:
        """Read the run. Raises ObjectNotFoundError; StateConflictError when it has ended already."""
        run = await self._in_thread(self._store.runs.get, *self.ids)
        if run.status.is_terminal:  # cancelled while it was being queued
            self._live.broadcast.send(ended(run))
            raise StateConflictError(f"Run {run.id} has ended with status '{run.status}'.")
        journal = Journal(self._live, self._context, run)
        await journal.load()
        self.journal = journal

    @property
    def run(self) -> Run | None:
        """The run as it was stored last; None if it is not loaded."""
        return None if self.journal is None else self.journal.run

    @property
    def waits_for_client(self) -> bool:
        """Whether only the client can continue the run."""
        return self.run is not None and self.run.status is RunStatus.REQUIRES_ACTION

    def seconds_left(self) -> float:
        """Seconds until the run expires. Time in the queue before its work began does not count."""
        run = self._journal.run
        if not run.has_begun or run.expires_at is None:
            return float("inf")
        return run.expires_at - self._store.now()

    def require_going_on(self) -> None:
        """Raise StoppingError if the server is stopping."""
        if self._context.stopping:
            raise StoppingError

    async def advance(self) -> Outcome | None:
        """Go on until the run ends; None: it waits for its client.

        Raises StoppingError when the server is stopping and the engine has closed.
        """
        self.require_going_on()
        try:
            return await self._advance()
        except EngineClosedError:
            self.require_going_on()
            raise

    # -- replies and tools in turn -----------------------------------------------------------------------------------

    @property
    def _journal(self) -> Journal:
        assert self.journal is not None
        return self.journal

    async def _advance(self) -> Outcome | None:
        journal = self._journal
        await journal.begin(self._context.lifetime)
        self._live.scope.deadline = trio.current_time() + self.seconds_left()
        thread = await self._in_thread(self._store.threads.get, self.ids[0])
        most = messages_wanted(journal.run, self._engine.n_ctx)
        messages = await self._in_thread(self._store.messages.for_prompt, *self.ids, most)
        can_search = searches(journal.run) and await takes_tools(self._engine)
        if searches(journal.run) and not can_search and not journal.steps:
            await self._search_for(thread, messages)
        while True:
            outcome = await self._reply(thread, messages, can_search)
            if outcome is not None:
                return outcome
            assert journal.open is not None
            if any(isinstance(call, FunctionToolCall) for call in journal.open.tool_calls):
                settled, self._live.submitted = self._live.settled, trio.Event()  # first: a client answers at once
                await journal.require_action()
                settled.set()
                return None
            await journal.end_calls()

    async def _reply(self, thread: Thread, messages: Sequence[ThreadMessage], can_search: bool) -> Outcome | None:
        """Write one reply. None: it called tools, and those of the server have their results."""
        journal, run = self._journal, self._journal.run
        spent = transitions.total_usage(step.usage for step in journal.steps)
        left = run.max_completion_tokens
        if left is not None and spent is not None:
            left -= spent.completion_tokens
            if left <= 0:
                return Outcome(RunStatus.INCOMPLETE, incomplete="max_completion_tokens")
        offered = self._offered(can_search)
        try:
            prompt = await build_prompt(
                self._engine,
                run,
                messages,
                journal.steps,
                offered.options,
                search_name=offered.search or "",
                scope=self._scope,
                spent=0 if spent is None else spent.prompt_tokens,
            )
        except PromptBudgetError:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_prompt_tokens")
        if prompt.dropped:
            _log.info("messages left out of the prompt: run_id %s, dropped %s", run.id, prompt.dropped)
        if not offered.may_call:
            await journal.begin_message()
        turn = await self._generate(prompt, left, offered)
        if not turn.calls:
            return await self._end_of_text(turn)
        if not turn.whole:
            if turn.reason == "length" and run.max_completion_tokens is not None:
                return Outcome(RunStatus.INCOMPLETE, incomplete="max_completion_tokens")
            return Outcome(RunStatus.FAILED, CUT_CALL)
        await self._search_as_called(thread, len(prompt.ids))
        return None

    async def _end_of_text(self, turn: Turn) -> Outcome:
        await self._journal.begin_message()  # an answer may be empty
        # Without a budget, a text that the end of the context cuts off counts as complete: no budget was exceeded.
        if turn.reason == "length" and self._journal.run.max_completion_tokens is not None:
            return Outcome(RunStatus.INCOMPLETE, incomplete="max_completion_tokens")
        return Outcome(RunStatus.COMPLETED)

    def _offered(self, can_search: bool) -> Offered:
        journal = self._journal
        called = [step for step in journal.steps if step.tool_calls]
        searched = [step for step in called if searches_of([step])]
        return offered_by(
            journal.run,
            first=not called,
            can_search=can_search,
            search_again=len(searched) < MOST_SEARCHES,
        )

    async def _generate(self, prompt: FittedPrompt, most: int | None, offered: Offered) -> Turn:
        request = prompt.exchange.request(self._sampling(most), cache_scope=self._scope)
        async with self._engine.generate(request) as stream:
            return await write_turn(self._journal, stream, offered.search)

    @property
    def _scope(self) -> str | None:
        """With which other requests the run may share what is computed; None: with all."""
        return self.ids[0] if self._context.isolate else None

    def _sampling(self, most: int | None) -> SamplingParams:
        run = self._journal.run
        settings: dict[str, Any] = {"max_tokens": most}
        if run.temperature is not None:
            settings["temperature"] = run.temperature
        if run.top_p is not None:
            settings["top_p"] = run.top_p
        if run.seed is not None:
            replies = sum(1 for step in self._journal.steps if step.tool_calls)
            settings["seed"] = (run.seed + replies) % 2**63
        return SamplingParams(**settings)

    # -- searches ----------------------------------------------------------------------------------------------------

    async def _search_as_called(self, thread: Thread, prompt_tokens: int) -> None:
        """Give the searches among the calls of the open step their results."""
        journal = self._journal
        assert journal.open is not None
        share = self._engine.n_ctx // ANSWER_SHARE
        found = []
        for call in journal.open.tool_calls:
            if isinstance(call, FileSearchToolCall):
                room = min(share, self._engine.n_ctx - share - prompt_tokens)
                query = query_of(call.arguments or "")
                found.append(await search(self._context, journal.run, thread, call, query, room))
                prompt_tokens += share
        journal.set_results(found)

    async def _search_for(self, thread: Thread, messages: Sequence[ThreadMessage]) -> None:
        """Search for the newest question of the thread, for a model that cannot call tools."""
        questions = [message.text_content for message in messages if message.role == "user"]
        if not questions or not questions[-1].strip():
            return
        journal, call = self._journal, FileSearchToolCall(new_id("call"))
        await journal.begin_call(call)
        room = self._engine.n_ctx // ANSWER_SHARE
        journal.set_results([await search(self._context, journal.run, thread, call, questions[-1], room)])
        await journal.end_calls()
