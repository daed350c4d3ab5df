"""The run worker: takes runs from the queue and executes as many at once as the engine has slots.

Every run ends, or is given back to the store: after a failure, a cancellation or its expiry in `Ending.finish`, after
the server's shutdown in `Ending.interrupt`.
"""

from __future__ import annotations

import trio

from oxillama.assistants.records import RunStatus
from oxillama.assistants.run.context import RunContext, StoppingError
from oxillama.assistants.run.ending import Ending
from oxillama.assistants.run.execution import RunExecution
from oxillama.assistants.run.live import LiveRun
from oxillama.assistants.run.outcome import Outcome
from oxillama.assistants.run.queue import RunQueueReceiver
from oxillama.concurrency import single
from oxillama.errors import ObjectNotFoundError, StateConflictError


async def run_worker(receiver: RunQueueReceiver, context: RunContext) -> None:
    """Execute runs until the queue is closed and empty, or until cancelled.

    Each run has a task as soon as it is queued, so that it can be cancelled and expire while it waits for a slot.
    """
    slots = trio.Semaphore(max(1, context.engine.n_slots))

    async def work(live: LiveRun) -> None:
        try:
            await process_run(live, context, slots)
        finally:
            context.live.remove(live)
            receiver.done()

    async with trio.open_nursery() as nursery:
        async for live in receiver:
            nursery.start_soon(work, live)


async def process_run(live: LiveRun, context: RunContext, slots: trio.Semaphore) -> None:
    """Execute one queued run to its end. Raises only Cancelled, after the run is stored for the next start."""
    execution = RunExecution(live, context)
    ending = Ending(execution, live, context)
    try:
        outcome = await _outcome(execution, live, context, slots)
        if outcome is not None:
            await ending.finish(outcome)
    except StoppingError:
        await ending.interrupt()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await ending.interrupt()
        raise


async def _outcome(
    execution: RunExecution, live: LiveRun, context: RunContext, slots: trio.Semaphore
) -> Outcome | None:
    """Execute the run, whenever it has a slot and needs one. None: the run has ended already, or is gone."""
    outcome: Outcome | None = None
    with live.scope:
        try:
            await execution.load()
            live.scope.deadline = trio.current_time() + execution.seconds_left()
            while outcome is None:
                if execution.waits_for_client:
                    await live.submitted.wait()
                    await execution.load()
                await context.live.turn(live)
                async with slots:
                    live.begun = True
                    try:
                        outcome = await execution.advance()
                    finally:
                        live.begun = False
        except StoppingError:
            raise
        except (ObjectNotFoundError, StateConflictError):  # the thread was deleted, or the run is being cancelled
            outcome = Outcome(RunStatus.CANCELLED) if execution.run is not None else None
        except Exception as error:
            outcome = Outcome.failed(single(error))
    if live.scope.cancelled_caught:
        if live.cancel_requested:
            return Outcome(RunStatus.CANCELLED)
        if live.given_back:
            raise StoppingError
        return Outcome(RunStatus.EXPIRED)
    return outcome
