"""Durable files: what was acknowledged is on disk.

`system` holds the system's calls. On it stand `durable` (files and directories) and `jsonl` (a log of records); on
those `record` and `collection` (stored objects of one kind), and `data_dir`, which opens a directory for one process.
"""
