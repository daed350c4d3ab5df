"""Durable files: an acknowledged change is on disk.

`system` has the system calls. `durable` (files and directories) and `jsonl` (a log of records) build on it. `record`
and `collection` (stored objects of one kind) build on those, and so does `data_dir`, which opens a directory for one
process.
"""
