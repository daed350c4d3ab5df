"""The execution of runs: the queue, the worker, and the events for subscribers."""
