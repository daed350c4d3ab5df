"""A process that writes to a store until it is killed, and reports each acknowledged change on stdout.

python -m tests.support.store_writer DIR SEED
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from typing import Any

from oxillama.assistants.records import RunStatus, ThreadMessage
from oxillama.assistants.records.transitions import end_message
from oxillama.assistants.store.store import Store
from oxillama.files.records import StoredFile, Upload, UploadPart
from oxillama.files.service import Files
from oxillama.storage.ids import new_id
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.stores import open_database


def say(kind: str, *parts: str) -> None:
    """Report one acknowledged change with a single write, which a kill cannot split."""
    os.write(1, (json.dumps([kind, *parts]) + "\n").encode())


def answer(store: Store, thread: str, rng: random.Random) -> None:
    run = store.runs.create(a_run(thread))
    say("run", thread, run.id)
    store.runs.update_status(thread, run.id, RunStatus.IN_PROGRESS)
    step = store.steps.append(a_step(run))
    message = ThreadMessage.new_assistant(step.message_id or "", run, NOW)
    text = "answer " * rng.randrange(1, 200)
    store.messages.append(thread, end_message(message, text, RunStatus.COMPLETED, NOW, None))
    say("message", thread, message.id, text)
    store.runs.update_status(thread, run.id, RunStatus.COMPLETED)
    say("ended", thread, run.id)


def add_file(files: Files, rng: random.Random) -> None:
    """Store a file, at once or as an upload in two parts."""
    data = rng.randbytes(rng.randrange(1, 5000))
    named: dict[str, Any] = {"created_at": NOW, "filename": "a", "purpose": "assistants", "bytes": len(data)}
    if rng.random() < 0.5:
        file = StoredFile(id=new_id("file", separator="-"), **named)
        content = files.files.begin(file.id)
        content.write(data)
        files.files.finish(file, content)
    else:
        upload = Upload(id=new_id("upload"), mime_type="text/plain", expires_at=NOW + 3600, **named)
        files.uploads.create(upload)
        parts = []
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            part = UploadPart(id=new_id("part"), created_at=NOW, upload_id=upload.id, bytes=len(piece))
            content = files.uploads.begin_part(upload.id, part.id)
            content.write(piece)
            parts.append(files.uploads.finish_part(part, content).id)
        _, file = files.uploads.complete(upload.id, parts)
    say("file", "", file.id, hashlib.sha256(data).hexdigest())


def main(data_dir: str, seed: int) -> None:
    rng = random.Random(seed)
    database = open_database(data_dir)
    store, files = Store(database, clock=lambda: NOW), Files(data_dir, database, lambda: NOW)
    files.clear()
    for run in store.recover():
        store.runs.update_status(run.thread_id, run.id, RunStatus.FAILED)
    threads: list[str] = []
    say("ready")
    while True:
        if not threads or rng.random() < 0.1:
            thread = a_thread()
            first = a_message("first")
            store.threads.create(thread, [first])
            say("message", thread.id, first.id, "first")
            threads.append(thread.id)
        thread_id = rng.choice(threads)
        if rng.random() < 0.1:
            add_file(files, rng)
        if rng.random() < 0.3:
            answer(store, thread_id, rng)
        elif rng.random() < 0.05:
            say("deleting", thread_id)
            store.threads.delete(thread_id)
            say("deleted", thread_id)
            threads.remove(thread_id)
        else:
            message = a_message("x" * rng.randrange(3000))
            store.messages.append(thread_id, message)
            say("message", thread_id, message.id, message.text_content)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
