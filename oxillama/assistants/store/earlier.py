"""Taking over what versions before the database stored.

    <data-dir>/assistants/<assistant_id>.json
    <data-dir>/threads/<thread_id>/meta.json
                                   messages.jsonl            one record per message, change or deletion
                                   runs/<run_id>/status.json
                                   runs/<run_id>/steps/<step_id>.json
    <data-dir>/active/<run_id>.json                          marks a run that has not ended

It is one change of the database; then the directories are removed. After a crash in between, the next start finds the
objects stored and only removes the directories. Damaged objects are taken over as damaged, and their directory stays
under another name.
"""

from __future__ import annotations

import logging
import posixpath

import msgspec

from oxillama.assistants.records import transitions
from oxillama.assistants.store.open_threads import OpenThreads
from oxillama.storage.earlier.folders import Objects, heads, json_files
from oxillama.storage.earlier.lines import split_records
from oxillama.storage.ids import new_id

_log = logging.getLogger(__name__)


class _Message(msgspec.Struct):
    id: str
    deleted: bool = False


_MESSAGE = msgspec.json.Decoder(_Message)


def take_over(threads: OpenThreads) -> None:
    """Store what is in the directories of an earlier version, if there are any. Raises StoreError."""
    durable = threads.durable
    root = posixpath.dirname(threads.layout.database.path)
    durable.clear_dir(root)
    places = {name: posixpath.join(root, name) for name in ("threads", "assistants", "active")}
    if not any(map(durable.disk.isdir, places.values())):
        return
    taken = _TakingOver(threads, places["threads"], set(json_ids(durable.list_dir(places["active"]))))
    with threads.layout.database.change():
        taken.adopt_assistants(json_files(durable, places["assistants"], "asst"))
        for thread_id, meta in heads(durable, places["threads"], "meta.json", "thread"):
            taken.adopt_thread(thread_id, meta)
    _log.info("data of an earlier version taken over: threads %s, damaged objects %s", taken.threads, taken.damaged)
    for name, place in places.items():
        durable.retire(place, f"{name}.earlier" if taken.damaged and name != "active" else None)


def json_ids(names: list[str]) -> list[str]:
    """The ids of files in a directory."""
    return [name.removesuffix(".json") for name in names if name.endswith(".json")]


class _TakingOver:
    def __init__(self, threads: OpenThreads, directory: str, active: set[str]) -> None:
        self._open = threads
        self._layout = threads.layout
        self._durable = threads.durable
        self._directory = directory
        self._active = active
        self.threads = 0
        self.damaged = 0

    def adopt_assistants(self, objects: Objects) -> None:
        self.damaged += self._layout.assistants.adopt(objects)[1]

    def adopt_thread(self, thread_id: str, meta: bytes) -> None:
        self.threads += 1
        place = posixpath.join(self._directory, thread_id)
        self.damaged += self._layout.threads.adopt([(thread_id, meta)])[1]
        self.damaged += self._layout.messages(thread_id).adopt(self._messages(place))[1]
        runs, damaged = self._layout.runs(thread_id).adopt(
            heads(self._durable, posixpath.join(place, "runs"), "status.json", "run")
        )
        self.damaged += damaged
        for run_id in self._layout.runs(thread_id).ids():
            steps = json_files(self._durable, posixpath.join(place, "runs", run_id, "steps"), "step")
            self.damaged += self._layout.steps(thread_id, run_id).adopt(steps)[1]
        for run in runs:
            if not run.status.is_terminal and run.id not in self._active:  # it was given up, and clients were told
                ended = transitions.settle_abandoned(run, self._open.answer(run), self._open.now())
                self._open.put_run(ended)

    def _messages(self, place: str) -> Objects:
        path = posixpath.join(place, "messages.jsonl")
        try:
            records, damage = split_records(self._durable.read_bytes(path), path)
        except FileNotFoundError:
            return []
        found: dict[str, bytes] = {}
        for record in records:
            try:
                message = _MESSAGE.decode(record)
            except (msgspec.DecodeError, UnicodeDecodeError):
                found[new_id("msg")] = record
                continue
            if message.deleted:
                found.pop(message.id, None)
            else:
                found[message.id] = record
        if damage is not None:
            _log.error("%s", damage)
            found[new_id("msg")] = str(damage).encode()
        return list(found.items())
