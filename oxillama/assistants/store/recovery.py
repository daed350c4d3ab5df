"""Recovery at start-up: settles the runs that the last process left unfinished."""

from __future__ import annotations

import logging

from oxillama.assistants.records import Run
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreFullError

_log = logging.getLogger(__name__)


def recover(threads: OpenThreads) -> list[Run]:
    """Settle all unfinished runs. Returns those that need a worker, oldest first: to be executed (again), or to expire.

    Reads only the threads that have an unfinished run. Doing it twice changes nothing. Raises StoreError.
    """
    layout = threads.layout
    for collection in (layout.assistants, layout.threads, layout.active):
        collection.clear()
    unfinished = layout.active.ids()
    threads.pending.update(unfinished)
    runs = [_recover_run(threads, run_id) for run_id in unfinished]
    return sorted((run for run in runs if run is not None and not run.status.is_terminal), key=lambda run: run.place)


def _recover_run(threads: OpenThreads, run_id: str) -> Run | None:
    layout = threads.layout
    try:
        thread_id = layout.active.get(run_id).thread_id
        with threads.use(thread_id) as state:
            layout.threads.clear_one(thread_id)
            layout.runs(thread_id).clear()
            layout.runs(thread_id).clear_one(run_id)
            layout.steps(thread_id, run_id).clear()
            run = threads.run(state, run_id)
            try:
                return threads.settle(state, run)
            except StoreFullError as error:  # the server starts even on a full disk; the worker will end the run
                _log.warning("unfinished run not settled: run_id %s, %s", run_id, error)
                return run
    except (ObjectNotFoundError, StoreDamagedError) as error:
        _log.warning("unfinished run dropped: run_id %s, %s", run_id, error)
        threads.forget(run_id)
        return None
