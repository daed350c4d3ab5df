"""The Assistants API without HTTP: the store, the queue and the worker of one server."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import msgspec
import trio

from oxillama.assistants.records import RUN_LIFETIME_S, Run, RunStatus, Thread, ThreadMessage
from oxillama.assistants.run.context import RunContext
from oxillama.assistants.run.events import Cancelling, Created, Queued, StepEnded
from oxillama.assistants.run.following.broadcast import Broadcast, Subscription
from oxillama.assistants.run.following.told import told
from oxillama.assistants.run.live import LiveRun, LiveRuns
from oxillama.assistants.run.queue import RunQueueSender, new_run_queue
from oxillama.assistants.run.worker import run_worker
from oxillama.assistants.store.store import Store
from oxillama.concurrency import open_nursery
from oxillama.engine.api.protocol import EngineLike
from oxillama.errors import EngineClosedError, StateConflictError
from oxillama.storage.data_dir import DataDir
from oxillama.vector_stores.passages import FileSearch

MAX_RUNS = 1024  # queued and in progress; further ones are refused with EngineBusyError
_log = logging.getLogger(__name__)


class Assistants:
    """The interface for the server's routes. Methods of `store` block; call them through `in_thread`."""

    def __init__(self, sender: RunQueueSender, context: RunContext, *, queue_runs: bool = False) -> None:
        self.store = context.store
        self.in_thread = context.in_thread
        self._sender = sender
        self._live = context.live
        self._context = context
        self._queue_runs = queue_runs

    async def create_run(
        self, run: Run, additional_messages: Sequence[ThreadMessage] = (), *, thread: Thread | None = None
    ) -> tuple[Run, LiveRun]:
        """Store a run, with a new thread for it if one is given, and queue it.

        The events of its broadcast begin with Created. Raises EngineBusyError when too many runs are waiting (nothing
        is stored then), StateConflictError while the thread has an active run (unless runs are queued), and what the
        store raises.
        """
        run = run if run.seed is not None else msgspec.structs.replace(run, seed=secrets.randbits(63))
        self._sender.reserve()
        try:
            async with self._live.creating(run.thread_id):
                if thread is None:
                    create = partial(self.store.runs.create, run, additional_messages, queue=self._queue_runs)
                    run = await self.in_thread(create)
                else:
                    run = await self.in_thread(self.store.create_thread_and_run, thread, list(additional_messages), run)
                live = self._live.add(run.thread_id, run.id)
        except BaseException:
            self._sender.release()
            raise
        live.broadcast.send(Created(run))
        live.broadcast.send(Queued(run))
        self._sender.send(live)
        return run, live

    async def add_message(self, thread_id: str, message: ThreadMessage) -> ThreadMessage:
        """Add a message to a thread. Raises StateConflictError while a run is active.

        If runs are queued, it waits for those that are there, until one of them waits for its client.
        """
        while True:
            try:
                return await self.in_thread(self.store.messages.append, thread_id, message)
            except StateConflictError:
                async with self._live.creating(thread_id):  # what is being created is waited for too
                    live = list(self._live.of_thread(thread_id))
                    active = await self.in_thread(self.store.runs.active, thread_id)
                waits = active is not None and (active.status is RunStatus.REQUIRES_ACTION or not live)
                if not self._queue_runs or waits:
                    raise
            for run in live[:1]:  # the others wait for it
                await run.settled.wait()
            if self._context.stopping:
                raise EngineClosedError("The server is shutting down; please try again later.")

    async def submit_outputs(
        self, thread_id: str, run_id: str, outputs: Sequence[tuple[str, str]]
    ) -> tuple[Run, Subscription]:
        """Take the outputs (call id, text) that a run waits for, and go on with the run.

        Returns the run, queued again, and its events from here on. Raises StateConflictError if the run does not wait
        for exactly these.
        """
        run, step = await self.in_thread(self.store.runs.submit_outputs, thread_id, run_id, outputs)
        live = self._live.get(run_id)
        if live is None:  # its end was being stored
            return await self.join(thread_id, run_id, None)
        before = len(live.broadcast)
        live.broadcast.send(StepEnded(step))
        live.broadcast.send(Queued(run))
        live.settled = trio.Event()
        live.submitted.set()
        return run, live.broadcast.subscribe(before)

    async def join(self, thread_id: str, run_id: str, cursor: str | None) -> tuple[Run, Subscription]:
        """A run and the events of a run behind a cursor (`Subscription.cursor`); None: all.

        A run that has ended a while ago, or before a restart, is told from what is stored. Raises ValueError for what
        is no cursor.
        """
        run = await self.in_thread(self.store.runs.get, thread_id, run_id)
        broadcast = self._live.broadcast(run_id)
        if broadcast is None:
            broadcast = Broadcast()
            for event in await self.in_thread(told, self.store, run):
                broadcast.send(event)
            broadcast.close()
        return run, broadcast.join(run, cursor)

    def unsubscribe(self, run_id: str, subscription: Subscription) -> None:
        """Send no more events to a subscription. The run goes on."""
        broadcast = self._live.broadcast(run_id)
        if broadcast is not None:
            broadcast.unsubscribe(subscription)

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
            live.give_back()

    async def _requeue(self, runs: Sequence[Run]) -> None:
        for run in runs:
            live = self._live.add(run.thread_id, run.id)
            for event in await self.in_thread(told, self.store, run):
                live.broadcast.send(event)
            self._sender.resend(live)


@contextlib.asynccontextmanager
async def open_assistants(
    data: DataDir,
    engine: EngineLike,
    *,
    clock: Callable[[], float] = time.time,
    max_runs: int | None = None,
    isolate: bool = False,
    queue_runs: bool = False,
    lifetime: float = RUN_LIFETIME_S,
    search: FileSearch | None = None,
) -> AsyncIterator[Assistants]:
    """Execute the runs of a data directory until the block is left, beginning with those that were unfinished.

    isolate: runs share computed prompts only with runs of the same thread. queue_runs: a run on a thread with an active
    run waits for its turn. lifetime: seconds after the start of its work when a run expires. search: searches files.

    Leaving the block ends the worker. Runs in progress are given back to the store for the next start. Raises
    StoreError if the directory cannot be written.
    """
    sender, receiver = new_run_queue(MAX_RUNS if max_runs is None else max_runs)
    store = await data.in_thread(Store, data.database, clock=clock)
    context = RunContext(store, engine, LiveRuns(), data.in_thread, isolate, lifetime, search)
    assistants = Assistants(sender, context, queue_runs=queue_runs)
    unfinished = await data.in_thread(store.recover)
    if unfinished:
        _log.info("unfinished runs queued again: runs %s", len(unfinished))
    async with open_nursery() as nursery:
        nursery.start_soon(run_worker, receiver, context)
        await assistants._requeue(unfinished)
        try:
            yield assistants
        finally:
            nursery.cancel_scope.cancel()
