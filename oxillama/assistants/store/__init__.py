"""Assistants, threads, messages, runs and steps on disk.

    <data-dir>/assistants/<assistant_id>.json
    <data-dir>/threads/<thread_id>/meta.json
                                   messages.jsonl            one record per message, change or deletion
                                   runs/<run_id>/status.json
                                   runs/<run_id>/steps/<step_id>.json
    <data-dir>/active/<run_id>.json                          names the thread of a run that has not ended

A thread or a run is prepared under a hidden name and then renamed, so every directory that is listed is complete. The
marker of a run in `active` is written before the run exists and removed after it has ended. A start looks at the marked
runs only, however many threads there are.

All methods block, and return when their change is on disk. They raise ObjectNotFoundError, StoreDamagedError (this
object only), StoreFullError, StoreReadOnlyError or StoreError, and StateConflictError if the state of the thread or run
does not allow the change.
"""
