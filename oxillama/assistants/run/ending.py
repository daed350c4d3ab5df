"""The end of a run: stored and then announced, on a full disk and at the server's stop too.

An end that cannot be stored is announced only if every later start of the server will find the same end.
"""

from __future__ import annotations

import logging

import trio

from oxillama.assistants.records import RunStatus, transitions
from oxillama.assistants.run.context import RunContext
from oxillama.assistants.run.events import ended
from oxillama.assistants.run.execution import RunExecution
from oxillama.assistants.run.live import LiveRun
from oxillama.assistants.run.outcome import Outcome
from oxillama.errors import ObjectNotFoundError, StateConflictError, StoreError, StoreFullError

MAX_WRITE_DELAY_S = 30.0
MAX_WRITE_WAIT_S = 300.0
"""How long storing a run's end is retried on a full disk before the run is given up, in seconds."""
_log = logging.getLogger(__name__)


class Ending:
    """Ends one run."""

    def __init__(self, execution: RunExecution, live: LiveRun, context: RunContext) -> None:
        self._execution = execution
        self._ids = execution.ids
        self._store = context.store
        self._in_thread = context.in_thread
        self._announce = live.broadcast.send
        self._outcome: Outcome | None = None

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
        """Handle a stopping server: the run goes back to the store, unless its end is known and can be stored."""
        try:
            if self._outcome is None or not await self._try_to_finish(self._outcome):
                await self._in_thread(self._store.runs.release, *self._ids)
        except (StoreError, ObjectNotFoundError) as error:
            _log.warning("run left to the next start: run_id %s, %s", self._ids[1], error)

    async def _try_to_finish(self, outcome: Outcome) -> bool:
        """Store and announce the end. Returns False if there is no space and the caller must try again."""
        journal = self._execution.journal
        try:
            if journal is None:  # the run could not be read
                update = self._store.runs.update_status
                run = await self._in_thread(update, *self._ids, outcome.status, last_error=outcome.error)
                self._announce(ended(run))
            else:
                await journal.finish(outcome)
        except StoreFullError as error:
            _log.warning("run cannot be stored yet: run_id %s, %s", self._ids[1], error)
            return False
        except (StateConflictError, ObjectNotFoundError) as error:
            _log.info("run ended elsewhere: run_id %s, %s", self._ids[1], error)
            await self._end_as_stored()
        except StoreError as error:
            # A stored message decides how the run ended. Without one the run has failed; try to store that.
            answered = journal is not None and journal.answered
            await self._end_without_answer(outcome if answered else Outcome.failed(error))
        return True

    async def _end_without_answer(self, outcome: Outcome) -> None:
        journal = self._execution.journal
        try:
            if journal is None:
                raise StoreError("the run could not be read")
            await journal.end_run(outcome)
        except StoreError as error:
            _log.error("run cannot be stored: run_id %s, %s", self._ids[1], error)
            await self._abandon()

    async def _abandon(self) -> None:
        """Give the run up and announce the end that every later start will find, if there is one."""
        try:
            run = await self._in_thread(self._store.runs.abandon, *self._ids)
        except (StoreError, ObjectNotFoundError) as error:
            _log.error("run left to the next start: run_id %s, %s", self._ids[1], error)
            return
        _log.error("run given up, its end cannot be stored: run_id %s, status %s", run.id, run.status)
        self._announce(ended(run))

    async def _end_as_stored(self) -> None:
        """Announce the end that was stored elsewhere. A run whose thread was deleted is cancelled.

        A run that has no end in the store gets one: nobody works on it any more, and it would keep its thread locked.
        """
        run = self._execution.run
        try:
            run = await self._in_thread(self._store.runs.get, *self._ids)
        except ObjectNotFoundError:
            run = run and transitions.move_run(run, RunStatus.CANCELLED, self._store.now())
        except StoreError as error:
            _log.error("run cannot be read: run_id %s, %s", self._ids[1], error)
        if run is not None and run.status.is_terminal:
            self._announce(ended(run))
        elif run is not None:
            await self._abandon()
