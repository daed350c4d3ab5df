"""The server's metrics in Prometheus' text format (version 0.0.4).

Counters only go up while the process lives; a scraper computes rates from them. Format:
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oxillama.engine.api.types import EngineStatistics
    from oxillama.server.observe.record import RequestRecord

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "oxillama_"
READING = "requests for vectors or scores"
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counts of the requests that have ended."""

    def __init__(self) -> None:
        self._requests: Counter[Labels] = Counter()
        self._seconds: defaultdict[Labels, float] = defaultdict(float)
        self._aborted: Counter[Labels] = Counter()
        self._mismatched: Counter[Labels] = Counter()

    def add(self, endpoint: str, method: str, record: RequestRecord) -> None:
        """Count a request. endpoint: the operation's name, so that not every path with an id becomes a series."""
        where = (("endpoint", endpoint), ("method", method))
        if record.status is not None:
            self._requests[*where, ("status", str(record.status))] += 1
            self._seconds[where] += record.elapsed_ms() / 1000
        if record.abort is not None:
            self._aborted[("by", record.abort),] += 1
        for param in record.mismatches:
            self._mismatched[("param", param),] += 1

    def render(self, under_way: int, engine: EngineStatistics | None) -> str:
        """The metrics page. under_way: requests that have not ended."""
        lines: list[str] = []
        add = _Writer(lines)
        add.family("requests_total", "counter", "Requests answered.", self._requests)
        add.family("request_seconds_total", "counter", "Seconds from request to the answer's end.", self._seconds)
        add.family("requests_aborted_total", "counter", "Answers not sent whole.", self._aborted)
        about = "Answers that do not match a schema without strict, by its parameter."
        add.family("answers_mismatched_total", "counter", about, self._mismatched)
        add.one("requests_under_way", "gauge", "Requests that have not ended, this one among them.", under_way)
        if engine is not None:
            add.engine(engine)
        return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def family(self, name: str, kind: str, about: str, values: Mapping[Labels, float]) -> None:
        """One metric under all of its labels."""
        self._lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} {kind}"]
        self._lines += [f"{PREFIX}{name}{_braced(labels)} {value:.10g}" for labels, value in sorted(values.items())]

    def one(self, name: str, kind: str, about: str, value: float) -> None:
        """A metric without labels."""
        self.family(name, kind, about, {(): value})

    def engine(self, now: EngineStatistics) -> None:
        """The engine's metrics."""
        self.one("generations_total", "counter", f"Generations and {READING} that have ended.", now.requests_total)
        computed = "Tokens computed of prompts, and of texts for vectors and scores."
        self.one("prompt_tokens_total", "counter", computed, now.prompt_tokens_total)
        self.one("prompt_tokens_cached_total", "counter", "Prompt tokens not computed again.", now.cached_tokens_total)
        self.one("generated_tokens_total", "counter", "Tokens generated.", now.generated_tokens_total)
        forced = "Generated tokens that were known without a choice: the grammar or the budget left no other."
        self.one("forced_tokens_total", "counter", forced, now.forced_tokens_total)
        self.one("steps_total", "counter", "Steps of the engine.", now.steps_total)
        self.one("pauses_total", "counter", "Generations paused for lack of KV cache.", now.pauses_total)
        self.one("generations_active", "gauge", "Generations that run.", now.active)
        waiting = f"Generations that wait for a slot, and {READING} under way."
        self.one("generations_waiting", "gauge", waiting, now.waiting)
        self.one("slots", "gauge", "Generations that can run at once.", now.n_slots)
        self.one("waiting_limit", "gauge", f"Generations and {READING} that may wait.", now.max_waiting)
        self.one("kv_pages", "gauge", "Pages of the KV cache.", now.n_pages)
        self.one("kv_pages_free", "gauge", "Pages that no generation holds.", now.free_pages)


def _braced(labels: Iterable[tuple[str, str]]) -> str:
    parts = [f'{name}="{_escaped(value)}"' for name, value in labels]
    return "{" + ",".join(parts) + "}" if parts else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
