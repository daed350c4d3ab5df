"""Threads, messages, runs and steps: the Assistants API without HTTP."""
