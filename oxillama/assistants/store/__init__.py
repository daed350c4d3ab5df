"""Assistants, threads, messages, runs and steps on disk.

    <data-dir>/assistants/<assistant_id>.json
    <data-dir>/threads/<thread_id>/meta.json
                                   messages.jsonl            one record per message, change or deletion
                                   runs/<run_id>/status.json
                                   runs/<run_id>/steps/<step_id>.json
    <data-dir>/active/<run_id>.json                          names the thread of a run that has not ended

A thread and a run are prepared under a name beginning with a dot and then renamed, so whatever is listed is whole. The
markers in `active` are written before a run exists and removed after it has ended: a start looks at those runs only,
however many threads there are.

Everything here blocks. A method returns when its change is on disk. All raise ObjectNotFoundError, StoreDamagedError
(this object only), StoreFullError, StoreReadOnlyError or StoreError; StateConflictError where the state of the thread
or run does not allow the change.
"""
