"""Loads the model at a path so that it can step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike

from oxillama import machine
from oxillama.core._core import (
    CACHE_TYPES,
    PAGE_TOKENS,
    Program,
    Runner,
    ThreadPool,
)
from oxillama.errors import InsufficientMemoryError, InvalidParameterError, ModelUnsupportedError
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph, default_cache_type
from oxillama.models.graph.fuse import fuse
from oxillama.models.graph.lower import Lowering
from oxillama.models.memory import DEFAULT_BATCH, SequenceMemory, Use, largest, sequence_memory
from oxillama.models.params.common import HParams
from oxillama.models.tuning import tune as tuning

DEFAULT_SEQUENCES = 256
# Without n_ctx the context is the trained one, limited so that its cache takes at most 1 / this of memory.
CACHE_SHARE_OF_MEMORY = 4
# Saved windows and states take at most 1 / this of the memory that is left.
SAVED_SHARE_OF_MEMORY = 8
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory. The runner keeps the file open: embedding rows are read from it.

    tuned: how weights are read for few tokens, two entries for each format.
    """

    hparams: HParams
    runner: Runner
    gguf: GGUFFile
    tuned: list[tuning.Tuned]

    def require_logits(self) -> None:
        """Raises ModelUnsupportedError for a model that predicts no tokens: an encoder, or one that scores texts."""
        if not self.hparams.causal or self.hparams.pooling.kind == "rank":
            raise ModelUnsupportedError(f"{self.gguf.path}: gives vectors or scores of texts, and predicts no tokens")

    def close(self) -> None:
        self.runner.close()


def load_model(
    path: str | PathLike[str] | GGUFFile,
    *,
    n_threads: int | None = None,
    cpu_affinity: Sequence[int] | None = None,
    n_ctx: int | None = None,
    kv_pages: int | None = None,
    more_kv_pages: int = 0,
    n_batch: int = DEFAULT_BATCH,
    n_seqs: int = DEFAULT_SEQUENCES,
    n_active: int | None = None,
    n_saved: int = 0,
    kv_type: str = "auto",
    pooling: str | None = None,
    progress: Progress | None = None,
) -> LoadedModel:
    """Check, pack and make ready to step.

    n_threads: None for one per core this process may use, or one for each processor of cpu_affinity. cpu_affinity: the
    processors that threads are bound to, one each, in this order; None: threads run anywhere. n_ctx: most tokens in a
    sequence; None for the model's own context, as far as memory reasonably allows. kv_pages: pages of 32 tokens, all
    sequences together; None for one sequence of n_ctx. more_kv_pages: how many additional pages would be
    useful; fewer are made if memory is short. n_batch: most tokens in a step. n_seqs: most sequences at a time.
    n_active: most sequences in a step; None: n_seqs.
    n_saved: for how many others, and for how many checkpoints, windows and recurrent states should be kept; fewer are
    if memory is short. kv_type: the type of keys and values: "f32", "f16", "i16" (14-bit integers with a scale per
    position and head: as exact as f16), "q8_0" (8-bit integers with a scale per 32 values) or "auto": f32 for a model
    with F32 weights and for encoders, else i16 or f16, whichever is faster on this processor. pooling: one of POOLINGS,
    how a text becomes a vector; None: as the file says. progress: called with the share of weights that are ready, 0
    to 1.

    Raises OSError, ModelFormatError, ModelUnsupportedError, InvalidParameterError, InsufficientMemoryError.
    """
    gguf = path if isinstance(path, GGUFFile) else GGUFFile(path)
    if kv_type not in ("auto", *CACHE_TYPES):
        known = ", ".join(CACHE_TYPES)
        raise InvalidParameterError(f"Invalid 'kv_type': {kv_type!r} is not one of auto, {known}.", param="kv_type")
    counts = {"n_threads": n_threads, "n_ctx": n_ctx, "kv_pages": kv_pages, "n_batch": n_batch, "n_seqs": n_seqs}
    counts["n_active"] = n_active
    for name, value in counts.items():
        if value is not None and not 1 <= value < 2**31:
            raise InvalidParameterError(f"Invalid '{name}': {value} is not a positive 32-bit number.", param=name)

    cpus = None if cpu_affinity is None else machine.bound_processors(cpu_affinity, n_threads)
    how = tuning.setting()
    described = build_graph(gguf, pooling=pooling)
    assert described.graph.hidden is not None
    hparams, weights = described.hparams, described.tensors.packed_bytes
    cache_type = kv_type if kv_type != "auto" else default_cache_type(gguf, hparams)
    left = machine.memory()
    memory = sequence_memory(described.graph, cache_type)
    sizes = _Sizes(memory, weights, n_batch, min(n_active or n_seqs, n_seqs), left)
    if n_ctx is None:
        n_ctx = sizes.default_context(hparams.n_ctx_train)
    n_pages = kv_pages or -(-n_ctx // PAGE_TOKENS)
    sizes.check(gguf.path, n_pages)
    n_saved = sizes.saved(n_pages, n_saved)
    n_pages = sizes.pages(n_pages, more_kv_pages, n_saved)
    pool = ThreadPool(n_threads or len(cpus or ()) or machine.usable_processors(), cpus)
    program = packed_program(gguf, n_ctx, pool, progress, pooling=pooling)
    tuned = tuning.tune(program, pool, how)
    runner = Runner(
        program,
        pool,
        n_vocab=hparams.n_vocab,
        n_embd=described.graph.hidden.width,
        n_batch=n_batch,
        n_ctx=n_ctx,
        n_pages=n_pages,
        n_seqs=n_seqs,
        n_active=sizes.n_active,
        n_saved=n_saved,
        cache_type=cache_type,
    )
    return LoadedModel(hparams, runner, gguf, tuned)


def packed_program(
    gguf: GGUFFile, n_ctx: int, pool: ThreadPool, progress: Progress | None = None, *, pooling: str | None = None
) -> Program:
    """The model's program with packed weights, for contexts of n_ctx tokens. Raises as load_model does."""
    builder = build_graph(gguf, n_ctx, pooling)
    fuse(builder.graph)
    program = Program(gguf.core)
    Lowering(builder.graph, program).run()
    sizes = program.matrix_bytes
    total, done = sum(sizes), 0
    program.reserve()
    for matrix, size in enumerate(sizes):
        program.pack(matrix, pool)
        done += size
        if progress is not None:
            progress(done / total)
    return program


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Chooses how much of the memory that is left a model takes.

    This counts the packed weights and what sequences take, nearly everything. The file is mapped: packed pages are
    given back, and embedding rows are read from pages that the system may drop.
    """

    memory: SequenceMemory
    weights: int
    n_batch: int
    n_active: int
    left: machine.Memory | None

    def use(self, n_pages: int, n_saved: int = 0) -> Use:
        return self.memory.of(n_pages=n_pages, n_batch=self.n_batch, n_active=self.n_active, n_saved=n_saved)

    @property
    def room(self) -> int | None:
        """Bytes that the weights leave; None: the system does not say."""
        return None if self.left is None else self.left.available - self.weights

    def default_context(self, n_ctx_train: int) -> int:
        """The trained context; less if its cache would take too much of the machine's memory, or more than the weights
        leave."""
        room = machine.total_memory() // CACHE_SHARE_OF_MEMORY
        if self.room is not None:
            room = min(room, max(0, self.room))
        # Whole pages: a remainder would round up to one page more than fits.
        affordable = largest(-(-n_ctx_train // PAGE_TOKENS), lambda n: self.use(n).total, room) * PAGE_TOKENS
        return min(n_ctx_train, max(PAGE_TOKENS, affordable))

    def check(self, path: str, n_pages: int) -> None:
        """Refuse a model that would make the system kill this process once all its memory is used."""
        use = self.use(n_pages)
        if self.left is None or self.weights + use.total <= self.left.available:
            return
        parts = [f"{_size(self.weights)} for weights"]
        parts.append(f"{_size(use.cache + use.windows)} for a key/value cache of {n_pages * PAGE_TOKENS} tokens")
        if use.states:
            parts.append(f"{_size(use.states)} for recurrent states of {self.n_active} sequences")
        bound = "its control group allows" if self.left.limited else "the machine has"
        hint = "take a smaller model, or one of fewer bits"
        if self.weights <= self.left.available // 2:
            shorter = use.cache >= use.windows + use.states
            hint = "take a shorter context" if shorter else "let fewer requests run at once"
        raise InsufficientMemoryError(
            f"{path}: needs {_size(self.weights + use.total)} of memory ({', '.join(parts)}), and {bound}"
            f" {_size(self.left.available)} left: {hint}"
        )

    def saved(self, n_pages: int, wanted: int) -> int:
        """How many saved windows and states there is memory for."""
        if self.room is None:
            return wanted
        fixed = self.use(n_pages).total
        spare = (self.room - fixed) // SAVED_SHARE_OF_MEMORY
        return largest(wanted, lambda n: self.use(n_pages, n).total - fixed, spare)

    def pages(self, n_pages: int, more: int, n_saved: int) -> int:
        """n_pages and as many more as there is memory for."""
        if self.room is None:
            return n_pages + more
        return n_pages + largest(more, lambda n: self.use(n_pages + n, n_saved).total, self.room)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 1 << 30 else f"{n_bytes / 2**20:.1f} MiB"
