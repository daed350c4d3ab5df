"""The index of one vector store: passages, the words in them, and their vectors, in one SQLite file.

SQLite's full-text search (FTS5) ranks by BM25 and takes and gives up single files. The libraries for BM25 in Python
(bm25s, rank-bm25) hold a whole collection in memory and compute it anew for each change. Everything here can be made
again from the files themselves, so an index that is damaged or missing is only work, not a loss.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oxillama.errors import StoreDamagedError, StoreError, StoreFullError
from oxillama.vector_stores.terms import indexed

if TYPE_CHECKING:
    import numpy.typing as npt

VERSION = 1
WAIT_S = 60.0  # for another thread's change
_SHIFT = 24
"""A passage's row is its file's number and, in this many bits, its own number in the file."""
_ROWS_AT_ONCE = 500
"""Passages that are added in one transaction. Searches wait for a transaction."""

_SCHEMA = f"""
CREATE TABLE files (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, whole INTEGER NOT NULL,
                    chunks INTEGER NOT NULL, text BLOB);
CREATE VIRTUAL TABLE passages USING fts5 (words, text UNINDEXED, start UNINDEXED, end UNINDEXED,
                                          tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TABLE vectors (file INTEGER PRIMARY KEY, model TEXT NOT NULL, width INTEGER NOT NULL,
                      chunks BLOB NOT NULL, data BLOB NOT NULL);
PRAGMA user_version = {VERSION};
"""


class NoFullTextSearchError(StoreError):
    """The SQLite of this Python cannot search texts."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors [n, width] of a file's passages, of length 1, made by `model`. chunks [n]: the passage of each."""

    model: str
    chunks: npt.NDArray[np.int32]
    data: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage in one ranking. relevance: 0 to 1."""

    row: int
    relevance: float


@dataclass(frozen=True, slots=True)
class Found:
    """A passage as it is stored."""

    file_id: str
    number: int
    start: int
    end: int
    text: str


class Index:
    """An open index. One thread uses it, inside of `open_index`. Methods raise StoreError and its kinds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def replace(
        self, file_id: str, text: str, chunks: Sequence[tuple[int, int]], vectors: Vectors | None = None
    ) -> int:
        """Put a file's passages in the place of those it had. Until this returns, none of them is found.

        Returns the bytes of its text and vectors.
        """
        self.remove(file_id)
        with self._db:
            packed = zlib.compress(text.encode(), 6)
            cursor = self._db.execute(
                "INSERT INTO files (id, whole, chunks, text) VALUES (?, 0, ?, ?)", (file_id, len(chunks), packed)
            )
            number = cursor.lastrowid or 0
        size = 0
        for first in range(0, len(chunks), _ROWS_AT_ONCE):
            with self._db:
                for at, (start, end) in enumerate(chunks[first : first + _ROWS_AT_ONCE], first):
                    piece = text[start:end]
                    size += len(piece.encode())
                    self._db.execute(
                        "INSERT INTO passages (rowid, words, text, start, end) VALUES (?, ?, ?, ?, ?)",
                        (number << _SHIFT | at, indexed(piece), piece, start, end),
                    )
        with self._db:
            if vectors is not None:
                size += vectors.data.nbytes
                self._put_vectors(number, vectors)
            self._db.execute("UPDATE files SET whole = 1 WHERE number = ?", (number,))
        return size

    def _put_vectors(self, number: int, vectors: Vectors) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO vectors (file, model, width, chunks, data) VALUES (?, ?, ?, ?, ?)",
            (number, vectors.model, vectors.data.shape[1], vectors.chunks.tobytes(), vectors.data.tobytes()),
        )

    def remove(self, file_id: str) -> None:
        """Remove a file, also one that was never whole. Its words leave the file's pages too."""
        row = self._db.execute("SELECT number FROM files WHERE id = ?", (file_id,)).fetchone()
        if row is None:
            return
        first = row[0] << _SHIFT
        with self._db:
            self._db.execute("UPDATE files SET whole = 0 WHERE number = ?", row)
        with self._db:
            self._db.execute("DELETE FROM passages WHERE rowid BETWEEN ? AND ?", (first, first + (1 << _SHIFT) - 1))
            self._db.execute("DELETE FROM vectors WHERE file = ?", row)
            self._db.execute("DELETE FROM files WHERE number = ?", row)
            # Merges what is left, since the words of removed rows stay in the index until then.
            self._db.execute("INSERT INTO passages (passages) VALUES ('optimize')")

    def file_ids(self) -> set[str]:
        """The files that are whole."""
        return {row[0] for row in self._db.execute("SELECT id FROM files WHERE whole")}

    def text(self, file_id: str) -> str | None:
        """The parsed text of a file; None: it is not here."""
        row = self._db.execute("SELECT text FROM files WHERE id = ? AND whole", (file_id,)).fetchone()
        return None if row is None else zlib.decompress(row[0]).decode()

    def texts(self, file_id: str) -> tuple[int, list[str]] | None:
        """The number of a file, and its passages in order; None: it is not here."""
        row = self._db.execute("SELECT number FROM files WHERE id = ? AND whole", (file_id,)).fetchone()
        if row is None:
            return None
        first = row[0] << _SHIFT
        found = self._db.execute(
            "SELECT text FROM passages WHERE rowid BETWEEN ? AND ? ORDER BY rowid", (first, first + (1 << _SHIFT) - 1)
        )
        return row[0], [text for (text,) in found]

    def put_vectors(self, number: int, vectors: Vectors) -> None:
        """Replace the vectors of the file with this number, if it is still here."""
        with self._db:
            if self._db.execute("SELECT 1 FROM files WHERE number = ? AND whole", (number,)).fetchone():
                self._put_vectors(number, vectors)

    def without_vectors(self, model: str) -> set[str]:
        """The files that have no vectors of this model."""
        return {
            row[0]
            for row in self._db.execute(
                "SELECT id FROM files WHERE whole AND number NOT IN (SELECT file FROM vectors WHERE model = ?)",
                (model,),
            )
        }

    def by_words(self, terms: Sequence[str], file_ids: Iterable[str], most: int) -> list[Ranked]:
        """The passages with the highest BM25 for any of the terms, best first.

        relevance: the share of the terms that the passage has, a rare one counting more (by its inverse document
        frequency).
        """
        if not terms:
            return []
        quoted = [f'"{term}"' for term in terms]
        allowed = json.dumps(list(file_ids))
        rows = [
            row[0]
            for row in self._db.execute(
                "SELECT rowid FROM passages WHERE passages MATCH ? AND rowid >> ? IN "
                "(SELECT number FROM files WHERE whole AND id IN (SELECT value FROM json_each(?))) "
                "ORDER BY rank LIMIT ?",
                (" OR ".join(quoted), _SHIFT, allowed, most),
            )
        ]
        total = self._db.execute("SELECT coalesce(sum(chunks), 0) FROM files WHERE whole").fetchone()[0]
        shares = dict.fromkeys(rows, 0.0)
        whole, candidates = 0.0, json.dumps(rows)
        for term in quoted:
            (n,) = self._db.execute("SELECT count(*) FROM passages WHERE passages MATCH ?", (term,)).fetchone()
            weight = math.log(1 + (max(total, n) - n + 0.5) / (n + 0.5))
            whole += weight
            for (row,) in self._db.execute(
                "SELECT rowid FROM passages WHERE passages MATCH ? AND rowid IN (SELECT value FROM json_each(?))",
                (term, candidates),
            ):
                shares[row] += weight
        return [Ranked(row, shares[row] / whole) for row in rows]

    def by_vector(
        self, vector: npt.NDArray[np.float32], model: str, file_ids: Iterable[str], most: int
    ) -> list[Ranked]:
        """The passages whose vectors, made by the same model, point most nearly as `vector`, of length 1. Best first.

        relevance: the cosine, 0 if it is negative. Reads the vectors file by file, so memory does not grow with them.
        """
        rows: npt.NDArray[np.int64] = np.empty(0, np.int64)
        scores: npt.NDArray[np.float32] = np.empty(0, np.float32)
        for number, chunks, data in self._db.execute(
            "SELECT file, chunks, data FROM vectors WHERE model = ? AND width = ? AND file IN "
            "(SELECT number FROM files WHERE whole AND id IN (SELECT value FROM json_each(?)))",
            (model, len(vector), json.dumps(list(file_ids))),
        ):
            found = np.frombuffer(data, np.float16).reshape(-1, len(vector)).astype(np.float32) @ vector
            rows = np.concatenate([rows, (number << _SHIFT) + np.frombuffer(chunks, np.int32).astype(np.int64)])
            scores = np.concatenate([scores, found])
            if len(rows) > 4 * most + 4096:
                rows, scores = _best(rows, scores, most)
        rows, scores = _best(rows, scores, most)
        return [Ranked(int(row), max(0.0, float(score))) for row, score in zip(rows, scores, strict=True)]

    def passages(self, rows: Sequence[int]) -> dict[int, Found]:
        """The passages in these rows."""
        found = {}
        for row, text, start, end, file_id in self._db.execute(
            "SELECT passages.rowid, passages.text, start, end, files.id FROM passages "
            "JOIN files ON files.number = passages.rowid >> ? "
            "WHERE passages.rowid IN (SELECT value FROM json_each(?))",
            (_SHIFT, json.dumps(list(rows))),
        ):
            found[row] = Found(file_id, row & ((1 << _SHIFT) - 1), start, end, text)
        return found


def _best(
    rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The `most` best rows, best first, each once."""
    order = np.argsort(-scores, kind="stable")
    rows, scores = rows[order], scores[order]
    _, first = np.unique(rows, return_index=True)
    first = np.sort(first)[:most]
    return rows[first], scores[first]


@contextlib.contextmanager
def open_index(path: str) -> Iterator[Index]:
    """The index at `path`, for the calling thread. A missing one is made; a damaged one is replaced by an empty one.

    Raises StoreFullError, StoreError or StoreDamagedError.
    """
    try:
        connection = _connected(path)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise _named(error, path) from error
        discard_index(path)
        try:
            connection = _connected(path)
        except sqlite3.Error as again:
            raise _named(again, path) from again
    try:
        yield Index(connection)
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            discard_index(path)
        raise _named(error, path) from error
    except sqlite3.Error as error:
        raise _named(error, path) from error
    finally:
        connection.close()


def require_search() -> None:
    """Raise NoFullTextSearchError if the SQLite of this Python has no full-text search."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5 (word)")
        except sqlite3.OperationalError as error:
            raise _named(error, "") from error


def discard_index(path: str) -> None:
    """Remove the index. A missing one is not an error."""
    for name in (path, f"{path}-journal"):
        with contextlib.suppress(OSError):
            os.unlink(name)


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_S)
    try:
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted leaves no bytes behind
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with connection:
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif version != VERSION:
            raise sqlite3.DatabaseError("not a database: another version")
    except sqlite3.OperationalError as error:
        if "already exists" not in str(error):  # another thread has just made it
            connection.close()
            raise
        connection.rollback()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, None) and "database" in str(error)


def _named(error: sqlite3.Error, path: str) -> StoreError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StoreFullError(f"{path}: no space left on the device.")
    if "no such module: fts5" in str(error):
        message = "Vector stores need full-text search (FTS5), which the SQLite of this Python is built without."
        return NoFullTextSearchError(f"{message} Use a Python whose sqlite3 has it, such as one from python.org.")
    if _is_damage(error):
        return StoreDamagedError(f"{path} is damaged: {error}")
    return StoreError(f"{path} could not be used: {error}")
