"""A data directory: stored objects in a database, and the bytes of files. An acknowledged change is on disk.

`system` has the system calls, and `durable` builds on them: files and directories. `database` is SQLite with shared
commits, `collection` a table of it. `contents` and `stream` keep bytes that belong to objects. `data_dir` opens a
directory for one process. `earlier` reads what versions before the database stored.
"""
