"""Recovery at start-up: settles the runs that the last process left unfinished."""

from __future__ import annotations

import logging

from oxillama.assistants.records import Run
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreFullError

_log = logging.getLogger(__name__)


def recover(threads: OpenThreads) -> list[Run]:
    """Settle all unfinished runs. Returns those that need a worker, oldest first: to be executed (again), or to expire.

    Reads only unfinished runs. Doing it twice changes nothing. Raises StoreError.
    """
    runs = [_recover_run(threads, thread_id, run_id) for thread_id, run_id in threads.layout.open_runs()]
    return [run for run in runs if run is not None and not run.status.is_terminal]


def _recover_run(threads: OpenThreads, thread_id: str, run_id: str) -> Run | None:
    try:
        try:
            with threads.use(thread_id) as state:
                return threads.settle(threads.run(state, run_id))
        except StoreFullError as error:  # the server starts even on a full disk; the worker will end the run
            _log.warning("unfinished run not settled: run_id %s, %s", run_id, error)
            with threads.look(thread_id) as state:
                return threads.run(state, run_id)
    except (ObjectNotFoundError, StoreDamagedError) as error:
        _log.error("unfinished run cannot be taken up: run_id %s, %s", run_id, error)
        return None
