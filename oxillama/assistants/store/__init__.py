"""Assistants, threads, messages, runs and steps in the database of a data directory, one table each.

All methods block, and return when their change is on disk. They raise ObjectNotFoundError, StoreDamagedError (this
object only), StoreFullError, StoreReadOnlyError or StoreError, and StateConflictError if the state of the thread or run
does not allow the change.
"""
