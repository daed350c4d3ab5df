"""The run worker: takes runs from the queue and executes as many at once as the engine has slots.

Every run ends, or is given back to the store: after a failure, a cancellation or its expiry in `RunExecution.finish`,
after the server's shutdown in `RunExecution.interrupt`.
"""

from __future__ import annotations

import trio

from oxillama.assistants.records import RunStatus
from oxillama.assistants.run.execution import RunContext, RunExecution, StoppingError
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
    try:
        outcome = await _outcome(execution, live, slots)
        if outcome is not None:
            await execution.finish(outcome)
    except StoppingError:
        await execution.interrupt()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await execution.interrupt()
        raise


async def _outcome(execution: RunExecution, live: LiveRun, slots: trio.Semaphore) -> Outcome | None:
    """Wait for a slot and generate. None: the run has ended already, or is gone.

    A run that waits for its client ends here only by its cancellation or expiry: this server takes no tool outputs.
    """
    outcome: Outcome | None = None
    with live.scope:
        try:
            await execution.load()
            live.scope.deadline = trio.current_time() + execution.seconds_left()
            if execution.waits_for_client:
                await trio.sleep_forever()
            async with slots:
                live.begun = True
                outcome = await execution.generate()
        except StoppingError:
            raise
        except (ObjectNotFoundError, StateConflictError):  # the thread was deleted, or the run is being cancelled
            outcome = Outcome(RunStatus.CANCELLED) if execution.run is not None else None
        except Exception as error:
            outcome = Outcome.failed(single(error))
    if live.scope.cancelled_caught:
        if not live.begun and not live.cancel_requested:
            execution.require_going_on()
        return Outcome(RunStatus.CANCELLED if live.cancel_requested else RunStatus.EXPIRED)
    return outcome
