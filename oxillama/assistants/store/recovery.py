"""Recovery at start-up: settles the runs that the last process left unfinished."""

from __future__ import annotations

import logging

from oxillama.assistants.records import Run, RunStatus
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreFullError

_log = logging.getLogger(__name__)


def recover(threads: OpenThreads) -> list[Run]:
    """Settle all unfinished runs. Returns those that have to be executed (again), oldest first.

    Reads only the threads that have an unfinished run. Doing it twice changes nothing. Raises StoreError.
    """
    layout = threads.layout
    for collection in (layout.assistants, layout.threads, layout.active):
        collection.clear()
    unfinished = layout.active.ids()
    threads.pending.update(unfinished)
    runs = [_recover_run(threads, run_id) for run_id in unfinished]
    return sorted((run for run in runs if run is not None and _needs_worker(run)), key=lambda run: run.place)


def _needs_worker(run: Run) -> bool:
    return not run.status.is_terminal and run.status is not RunStatus.REQUIRES_ACTION  # which waits for its client


def _recover_run(threads: OpenThreads, run_id: str) -> Run | None:
    layout = threads.layout
    try:
        thread_id = layout.active.get(run_id).thread_id
        with threads.use(thread_id) as state:
            layout.runs(thread_id).clear()
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
