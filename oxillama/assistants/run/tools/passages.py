"""Passages that a search found: how the model sees them, and where it cites them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from oxillama.assistants.records import (
    FileSearch,
    FileSearchRanking,
    FileSearchResult,
    FileSearchToolCall,
    ResultContent,
    RunStep,
)
from oxillama.vector_stores.passages import Passage, SearchOptions

_MARK = re.compile(r"【(\d{1,4})(?::(\d{1,4}))?(?:†[^【】\n]{0,300})?】")
_BREAKING = re.compile(r"[【】†\n]")
_LONGEST_MARK = 320
MOST_RESULTS = 20
"""How many passages a search gives, unless the tool says otherwise."""
PATIENCE_S = 60.0
"""How long a run waits for files that are still being read, as in the hosted API."""
NOTHING = "No passage was found."


def searches_of(steps: Sequence[RunStep]) -> list[FileSearchToolCall]:
    """All searches of a run, in their order. Their numbers are part of the marks."""
    return [call for step in steps for call in step.tool_calls if isinstance(call, FileSearchToolCall)]


def query_of(arguments: str) -> str:
    """What a call of the search asks for: its `query`, or all of its arguments if it has none."""
    try:
        given = json.loads(arguments)
    except ValueError:
        return arguments
    query = given.get("query") if isinstance(given, dict) else None
    return query if isinstance(query, str) and query.strip() else arguments


def options_of(tool: Mapping[str, Any]) -> SearchOptions:
    """How a tool of an assistant, as the API has it, wants its passages."""
    given = tool.get("file_search") or {}
    ranking = given.get("ranking_options") or {}
    return SearchOptions(
        max_num_results=given.get("max_num_results") or MOST_RESULTS,
        ranker=ranking.get("ranker") or "auto",
        score_threshold=ranking.get("score_threshold") or 0.0,
        patience=PATIENCE_S,
    )


def found(passages: Sequence[Passage], options: SearchOptions) -> FileSearch:
    """What a search gave, as it is stored."""
    return FileSearch(
        FileSearchRanking(options.ranker, options.score_threshold),
        [
            FileSearchResult(passage.file_id, passage.filename, passage.score, [ResultContent(passage.text)])
            for passage in passages
        ],
    )


def mark(search: int, at: int, name: str) -> str:
    """The mark of a passage: which search of the run found it, and its place among the results, both from 0."""
    return f"【{search}:{at}†{_BREAKING.sub(' ', name)[:200]}】"


def shown(call: FileSearchToolCall, number: int) -> str:
    """The results of the run's search with this number, as the model sees them."""
    if call.problem is not None:
        return call.problem
    results = call.file_search.results
    if not results:
        return NOTHING
    parts = [
        f"{mark(number, at, result.file_name)}\n" + "\n".join(part.text for part in result.content)
        for at, result in enumerate(results)
    ]
    return "\n\n".join(parts)


def question_with(call: FileSearchToolCall, number: int, question: str) -> str:
    """A question to a model that cannot call tools, with the results of the search for it."""
    if call.problem is not None or not call.file_search.results:
        return question
    example = mark(number, 0, call.file_search.results[0].file_name)
    return (
        f"These passages of files may help. To cite one, write its mark, such as {example}, behind the sentence that "
        f"it supports.\n\n{shown(call, number)}\n\n{question}"
    )


class Citations:
    """Finds the marks of passages in a message while it is written.

    searches: the run's, so far.
    """

    def __init__(self, searches: Sequence[FileSearchToolCall]) -> None:
        self._searches = [search.file_search.results for search in searches]
        self._rest = ""  # the end of the text that may be the beginning of a mark
        self._at = 0  # where `_rest` begins, in characters
        self.annotations: list[dict[str, Any]] = []

    def add(self, text: str) -> list[dict[str, Any]]:
        """More of the message. Returns the citations that are now complete."""
        if not self._searches:
            return []
        self._rest += text
        new: list[dict[str, Any]] = []
        end = 0
        for match in _MARK.finditer(self._rest):
            end = match.end()
            if (file_id := self._file(match)) is not None:
                new.append(
                    {
                        "type": "file_citation",
                        "text": match[0],
                        "start_index": self._at + match.start(),
                        "end_index": self._at + match.end(),
                        "file_citation": {"file_id": file_id},
                    }
                )
        begun = self._rest.rfind("【", end)
        kept = begun if begun >= 0 and len(self._rest) - begun <= _LONGEST_MARK else len(self._rest)
        self._at += kept
        self._rest = self._rest[kept:]
        self.annotations += new
        return new

    def _file(self, match: re.Match[str]) -> str | None:
        """The file that a mark means. Models that leave out the number of the search mean the last one."""
        search, at = (-1, int(match[1])) if match[2] is None else (int(match[1]), int(match[2]))
        if search >= len(self._searches):
            return None
        results = self._searches[search]
        return results[at].file_id if at < len(results) else None
