"""What a search over vector stores takes and returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from oxillama.vector_stores.filters import AttributeValue, Filter

Ranker = Literal["auto", "none", "default-2024-11-15", "default_2024_08_21"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage lies in its file: passage `number` (from 0), characters `start` to `end` of the parsed text."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a file's text that answers a query. score: 0 to 1, higher is better. vector_store_id: where it was
    found."""

    text: str
    file_id: str
    filename: str
    score: float
    attributes: dict[str, AttributeValue]
    place: Place
    vector_store_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How many passages at most, how they are ranked, and which files and scores count.

    ranker: "none" takes the first ranking as it is; every other one fuses all rankings. filters: on the attributes of
    files; None: all files. score_threshold: passages below it are left out. patience: seconds to wait for files that
    are still in progress.
    """

    max_num_results: int = 10
    ranker: Ranker = "auto"
    score_threshold: float = 0.0
    filters: Filter | None = None
    patience: float = 0.0


DEFAULT_OPTIONS = SearchOptions()


class FileSearch(Protocol):
    """The search, as runs call it."""

    async def search(
        self, vector_store_ids: Sequence[str], query: str, options: SearchOptions = DEFAULT_OPTIONS
    ) -> list[Passage]:
        """The passages that answer `query` best, best first, out of all these vector stores together.

        Files that are still in progress are not searched. Raises ObjectNotFoundError for an unknown vector store and
        StateConflictError for one that has expired.
        """
        ...
