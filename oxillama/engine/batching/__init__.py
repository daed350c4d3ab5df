"""Continuous batching: the scheduler that plans a step, and the loop that runs it."""
