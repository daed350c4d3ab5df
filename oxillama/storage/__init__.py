"""Durable files: what was acknowledged is on disk. `disk` are the system's calls, everything else is built on it."""
