"""The Assistants API without HTTP: the store, the queue and the worker of one server."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

from oxillama.assistants.records import Run, Thread, ThreadMessage
from oxillama.assistants.run.events import Cancelling, Created, Queued, Subscription
from oxillama.assistants.run.execution import RunContext
from oxillama.assistants.run.live import LiveRun, LiveRuns
from oxillama.assistants.run.queue import RunQueueSender, new_run_queue
from oxillama.assistants.run.worker import run_worker
from oxillama.assistants.store.store import Store
from oxillama.concurrency import open_nursery
from oxillama.engine.api.protocol import EngineLike
from oxillama.errors import StoreError
from oxillama.storage.data_dir import DataDir

MAX_RUNS = 1024  # queued and in progress; further ones are refused with EngineBusyError
_log = logging.getLogger(__name__)


class Assistants:
    """The interface for the server's routes. Methods of `store` block; call them through `in_thread`."""

    def __init__(self, sender: RunQueueSender, context: RunContext) -> None:
        self.store = context.store
        self.in_thread = context.in_thread
        self._sender = sender
        self._live = context.live
        self._context = context

    async def create_run(
        self, run: Run, additional_messages: Sequence[ThreadMessage] = (), *, thread: Thread | None = None
    ) -> tuple[Run, LiveRun]:
        """Store a run, with a new thread for it if one is given, and queue it.

        Raises EngineBusyError when too many runs are waiting (nothing is stored then), StateConflictError while the
        thread has an active run, and what the store raises. Subscribe to the broadcast before anything is awaited:
        the events begin with Created.
        """
        self._sender.reserve()
        try:
            if thread is None:
                run = await self.in_thread(self.store.runs.create, run, additional_messages)
            else:
                run = await self.in_thread(self._create_with_thread, run, thread, additional_messages)
        except BaseException:
            self._sender.release()
            raise
        live = self._live.add(run.thread_id, run.id)
        self._sender.send(live)
        return run, live

    def _create_with_thread(self, run: Run, thread: Thread, messages: Sequence[ThreadMessage]) -> Run:
        self.store.threads.create(thread, messages)
        try:
            return self.store.runs.create(run)
        except StoreError:
            with contextlib.suppress(StoreError):
                self.store.threads.delete(thread.id)
            raise

    async def cancel_run(self, thread_id: str, run_id: str) -> Run:
        """Ask for the end of a run. Its worker ends it. Raises StateConflictError if it has ended already."""
        run = await self.in_thread(self.store.runs.request_cancel, thread_id, run_id)
        live = self._live.get(run_id)
        if live is None:
            return await self.in_thread(self.store.runs.release, thread_id, run_id)
        if not live.cancel_requested:
            live.broadcast.send(Cancelling(run))
            live.cancel()
        return run

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread and cancel its run."""
        await self.in_thread(self.store.threads.delete, thread_id)
        for live in self._live.of_thread(thread_id):
            live.cancel()

    def stop(self) -> None:
        """Begin no more runs. Waiting runs, and runs that the closing engine ends, are left to the next start.

        Subscriptions to waiting runs end at once.
        """
        self._context.stopping = True
        for live in self._live.waiting():
            live.scope.cancel()

    def _requeue(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._sender.resend(self._live.add(run.thread_id, run.id))


def watch(run: Run, live: LiveRun) -> Subscription:
    """Subscribe to a run that was just created. The events begin with its creation."""
    subscription = live.broadcast.subscribe()
    subscription.push(Created(run))
    subscription.push(Queued(run))
    return subscription


@contextlib.asynccontextmanager
async def open_assistants(
    data: DataDir,
    engine: EngineLike,
    *,
    clock: Callable[[], float] = time.time,
    max_runs: int | None = None,
    isolate: bool = False,
) -> AsyncIterator[Assistants]:
    """Execute the runs of a data directory until the block is left, beginning with those that were unfinished.

    isolate: runs share computed prompts only with runs of the same thread.

    Leaving the block ends the worker. Runs in progress are given back to the store for the next start. Raises
    StoreError if the directory cannot be written.
    """
    sender, receiver = new_run_queue(MAX_RUNS if max_runs is None else max_runs)
    store = await data.in_thread(Store, data.path, data.durable, clock=clock)
    context = RunContext(store, engine, LiveRuns(), data.in_thread, isolate)
    assistants = Assistants(sender, context)
    unfinished = await data.in_thread(store.recover)
    if unfinished:
        _log.info("unfinished runs queued again: runs %s", len(unfinished))
    async with open_nursery() as nursery:
        nursery.start_soon(run_worker, receiver, context)
        assistants._requeue(unfinished)
        try:
            yield assistants
        finally:
            nursery.cancel_scope.cancel()
