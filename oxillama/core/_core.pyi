"""The boundary between Python and C, typed. `_core.pyx` includes one .pxi per area; policy and defaults live above."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, TypedDict, final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
MetadataValue = bool | int | float | str | list[str] | list[Any] | npt.NDArray[Any]

# --- kernels.pxi
def isa() -> str:
    """Name of the isa in use: the instruction set's variant that the kernels are made for."""

def available_isas() -> list[str]:
    """Names of the isas this CPU can execute, slowest first."""

# --- gguf.pxi
@final
class TensorInfo:
    name: str
    type: int
    type_name: str
    shape: tuple[int, ...]  # as in the file: shape[0] is the contiguous dimension
    n_elements: int
    n_bytes: int

@final
class GGUF:
    """An open GGUF file (all shards), read-only and mapped. Threads may share one.

    Raises OSError, ModelFormatError or ModelUnsupportedError, each naming the file and what is wrong.
    """

    def __init__(self, path: str | PathLike[str]) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def file_bytes(self) -> int: ...
    def metadata(self) -> dict[str, MetadataValue]:
        """All key/values: strings as str (surrogateescape), numeric arrays as numpy arrays, string arrays as lists."""
    def value(self, key: str) -> MetadataValue:
        """One key's value, in the form that metadata() gives. Raises KeyError if the file has no such key."""
    def metadata_types(self) -> dict[str, str]:
        """GGUF type names: "u32", "str", "arr[i32]", …"""
    def tensors(self) -> dict[str, TensorInfo]: ...
    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """The tensor's bytes: a read-only view that keeps the mapping open.

        Raises KeyError if the file has no such tensor, ModelFormatError if the file was cut short meanwhile.
        """
    def release(self, name: str) -> None:
        """Give a tensor's mapped pages back to the system. Reading them again is slow but allowed.

        Raises KeyError if the file has no such tensor.
        """

def tensor_types() -> dict[int, tuple[str, int, int]]:
    """Every tensor type whose size is known: number → (name, weights per block, bytes per block)."""

def dequantize(type: int, data: npt.NDArray[np.uint8], n: int) -> Float32: ...

@final
class Quantizer:
    """Quantises weights to one tensor type and minimises the sum of importance[column] * error^2 in each block. Threads
    may share one. Raises ModelUnsupportedError for a type without a quantiser."""

    def __init__(self, type: int) -> None: ...
    @property
    def type(self) -> int: ...
    def rows(self, values: Float32, importance: Float32 | None = None) -> npt.NDArray[np.uint8]:
        """The bytes of rows [n_rows, n_cols]; importance [n_cols], by default equal. Releases the GIL. Raises
        InvalidParameterError if n_cols is not a multiple of the type's block, or for values the type cannot hold."""

def quantize(type: int, values: Float32) -> npt.NDArray[np.uint8]:
    """Quantise float32 values to GGUF tensor type `type`, as Quantizer does, for one row."""

def quantizable_types() -> list[int]:
    """Numbers of the types that Quantizer supports."""

class _PackedMatrix:
    """A single packed matrix, for tests and benchmarks of the kernels."""

    def __init__(
        self,
        type: int,
        data: npt.NDArray[np.uint8],
        n_rows: int,
        n_cols: int,
        isa: str | None = None,
        keep_indices: bool | None = None,
    ) -> None:
        """Pack for `isa`; `keep_indices`: whether codebook types keep their indices."""
    @property
    def packed_bytes(self) -> int: ...
    def read_as(self, reading: str) -> None:
        """Read it as `reading` says, one of `readings()`."""
    def run(
        self, x: Float32, isa: str | None = None, n_threads: int = 1, repeats: int = 1
    ) -> tuple[Float32, list[float]]:
        """(x @ weights.T, seconds of each of `repeats` products, preparation of x not counted)."""

def _matmul(
    type: int,
    data: npt.NDArray[np.uint8],
    n_rows: int,
    n_cols: int,
    x: Float32,
    isa: str | None = None,
    keep_indices: bool | None = None,
) -> Float32: ...
def readings() -> list[str]:
    """The ways in which packed weights can be read for few tokens."""

def default_reading(several: bool = False) -> str:
    """The way that suits processors of this family, for one or two tokens or for `several`."""

def _probe(isa: str | None = None, n_threads: int = 1, repeats: int = 5, read_bytes: int = ...) -> tuple[float, float]:
    """The limits of an isa's instructions by themselves: (bytes per second read, int8 operations per second)."""

# --- program.pxi, runner.pxi
FUNCTIONS: dict[str, int]
NORMS: dict[str, int]
ROPES: dict[str, int]
EMBEDS: dict[str, int]
LIMITS: dict[str, int]
GATINGS: dict[str, int]
CACHE_TYPES: dict[str, int]
MAX_LINEAR_PARTS: int
MAX_KV_HEADS: int
MAX_HEAD_DIM: int
PAGE_TOKENS: int

def quick_cache_type() -> str:
    """The 16-bit cache type, "f16" or "i16", that is faster on the isa in use."""

def cache_head_bytes(cache_type: str, key_dim: int, value_dim: int, shared: bool = False) -> int:
    """Bytes of PAGE_TOKENS positions of one head of keys and values."""

def window_pages(window: int, n_pages: int, n_batch: int, n_active: int, n_saved: int) -> int:
    """How many pages a runner has for layers with a window; 0: for those without."""

def state_blocks(n_active: int, n_saved: int) -> int:
    """How many blocks of recurrent states a runner has."""

def packed_bytes(type: int, n_rows: int, n_cols: int) -> int:
    """Bytes of a matrix of GGUF tensor type `type` once packed. Raises ModelUnsupportedError if it cannot be packed."""

class PoolCounts(TypedDict):
    """barriers: passed. sleeps: of threads, at barriers and between jobs. wakes: system calls that woke threads.
    caller_wakes: those of the calling thread when it started jobs."""

    barriers: int
    sleeps: int
    wakes: int
    caller_wakes: int

@final
class ThreadPool:
    """Persistent worker threads; the calling thread is one of them. Runs one job at a time.

    cpus: the numbers of the processors that threads are bound to, as many as threads, the calling thread's first (it is
    bound while it computes); None: threads run anywhere. Raises InvalidParameterError if this process may not run on
    one of them or the system does not bind threads.
    """

    def __init__(self, n_threads: int, cpus: Sequence[int] | None = None) -> None: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def counts(self) -> PoolCounts:
        """What happened since the pool opened, for measurements."""

@final
class Program:
    """What one step computes, as the C core runs it. oxillama.models builds it op by op and packs its matrices.

    Ops use the field names of csrc/oxillama_ops.h; a view is a dict of buffer, column and width.
    """

    def __init__(self, file: GGUF) -> None: ...
    def buffer(self, slot: int, width: int) -> int: ...
    def vector(self, values: Float32) -> int: ...
    def table(self, tensor: str) -> int: ...
    def matrix(self, tensor: str, n_experts: int, first_row: int, n_rows: int) -> int:
        """Rows of each of n_experts equal parts of a tensor: of its third dimension, or of its rows."""
    def cache(self, n_head: int, key_dim: int, value_dim: int, window: int = 0, shared: bool = False) -> int: ...
    def state(self, n_floats: int) -> int: ...
    def op(self, kind: str, outputs: bool, fields: dict[str, Any]) -> None: ...
    def results(self, logits: dict[str, int], hidden: dict[str, int]) -> None: ...
    @property
    def matrix_bytes(self) -> list[int]:
        """Packed bytes of each matrix, in order."""
    def readings(self, several: bool) -> list[str]:
        """How each matrix is read for one or two tokens or for `several`, in order."""
    def read_as(self, matrix: int, several: bool, reading: str) -> None:
        """Set how a matrix is read for one or two tokens or for `several`. This changes the speed, never a result.
        Fails while a runner is open."""
    @property
    def matrix_types(self) -> list[int]:
        """The GGUF tensor type of each matrix, in order."""
    def compare_readings(
        self, type: int, several: bool, n_rounds: int, pool: ThreadPool
    ) -> npt.NDArray[np.float64]:
        """How fast products of one token, or of eight if `several`, read the packed matrices of a tensor type in each
        way: bytes per second [n_rounds, ways], in the order of `readings()`. Each product takes other weights. Releases
        the GIL.

        Raises InvalidParameterError if no matrix has the type, or none is packed, or for fewer than 1 or more than 1000
        rounds, or while another thread uses the pool.
        """
    def reserve(self) -> None:
        """Allocate the memory of all packed matrices. Raises MemoryError."""
    def pack(self, matrix: int, pool: ThreadPool) -> None:
        """Pack one matrix on all threads and give its mapped pages back. Releases the GIL."""

@final
class Runner:
    """A model ready to step: packed weights, program, paged KV cache, scratch and thread pool, in one handle.

    One thread at a time, except `cancel` and `close`: any other call during another thread's step raises
    InvalidParameterError. So does a step in a forked child, which has no worker threads. Sequences are small
    integers; pages hold `page_size` tokens.
    """

    n_vocab: int
    n_embd: int
    n_batch: int  # most tokens in one step
    n_ctx: int  # most tokens in a sequence
    page_size: int
    n_pages: int
    cache_bytes: int
    n_saved: int
    state_bytes: int  # of all blocks of recurrent states
    cache_type: str
    n_threads: int

    # Created by oxillama.models.load_model.
    def __init__(
        self,
        program: Program,
        pool: ThreadPool,
        *,
        n_vocab: int,
        n_embd: int,
        n_batch: int,
        n_ctx: int,
        n_pages: int,
        n_seqs: int,
        cache_type: str,
        n_active: int = 0,
        n_saved: int = 0,
    ) -> None:
        """Windows and recurrent states are kept for n_active sequences that may be in a step (0: n_seqs) and, as long
        as no others need the memory, for n_saved other sequences and checkpoints."""
    @property
    def pool(self) -> ThreadPool:
        """The threads that compute steps; between steps they may do other work."""
    def seq_pages(self, seq: int) -> list[int]:
        """The numbers of the sequence's pages without a window, in order."""
    def seq_open(self) -> int:
        """A new empty sequence. Raises KVCacheFullError when all sequence slots are taken."""
    def seq_close(self, seq: int) -> None:
        """Close the sequence; pages that no other sequence shares become free at once."""
    def seq_len(self, seq: int) -> int: ...
    def seq_reserve(self, seq: int, n_tokens: int) -> None:
        """Make room for n_tokens more tokens, for all or for none. Raises KVCacheFullError."""
    def seq_truncate(self, seq: int, n_tokens: int) -> None:
        """Keep the first n_tokens tokens, a number that `seq_reusable` returns, and drop the rest."""
    def seq_fork(self, seq: int, n_tokens: int) -> int:
        """A new sequence that shares the first n_tokens of `seq`, a number that `seq_reusable` returns.

        Pages are shared, and the last one is copied on write. So are the sequence's checkpoints up to there.
        """
    def seq_reusable(self, seq: int, n_tokens: int) -> int:
        """The largest number of tokens, at most n_tokens, that `seq` can be truncated to or forked at.
        n_tokens itself (or the sequence's length), if no layer has a window or a recurrent state. Otherwise a position
        where everything is still kept: the end, a checkpoint, a position whose windows are still held, or 0.
        """
    def seq_checkpoint(self, seq: int) -> bool:
        """Keep what continuing `seq` from its present end takes, for `seq` and later forks of it.
        Costs nothing, and returns True, if no layer has a window or a recurrent state. The sequence lets go when it is
        closed or truncated before the position, and of the least recently used of more than 16. The runner drops the
        least recently used when memory is short, or when there are more than n_saved. False if n_saved is 0.
        """
    @property
    def free_pages(self) -> int: ...
    @property
    def classes(self) -> list[tuple[int, int, int, int]]:
        """Pages by class of layers: (window, pages, free pages, bytes of a page), first those without a window (0)."""
    @property
    def any_position(self) -> bool:
        """Whether a sequence can be truncated to and forked at any position: there are no windows and no states."""
    @property
    def free_states(self) -> int:
        """Blocks of recurrent states that nobody holds."""
    def step(
        self, tokens: npt.NDArray[np.int32], seqs: Sequence[int], counts: Sequence[int], outputs: npt.NDArray[np.bool_]
    ) -> Float32:
        """Append `counts[i]` tokens to sequence `seqs[i]`, runs back to back in `tokens`, and evaluate them all.

        Returns logits [n_outputs, n_vocab] for the positions that `outputs` flags, in order: a view of the runner's
        memory, valid until the next step. Reserves what it needs (all or nothing). Releases the GIL. After an error
        nothing was appended. Raises KVCacheFullError, InvalidParameterError (token id, count, n_batch, a second
        thread, a forked child), StepCancelledError, ModelFormatError (the file was cut short while it was open).
        """
    def embeddings(self) -> Float32:
        """Final hidden states [n_outputs, n_embd] (after the output norm) of the last step's flagged positions."""
    def observe(self) -> None:
        """From now on, sum the squares of every matrix's input."""
    def observed(self) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
        """The sums so far: tensor name → (sums [n_experts, n_cols], rows seen [n_experts]), copies."""
    def clock(self) -> None:
        """From now on, time every op on every thread; times of earlier steps are forgotten."""
    def clocked(self) -> npt.NDArray[np.float64]:
        """Seconds since then [thread, op, 3]: waiting before the op, preparing its input, working on it. A copy."""
    def cancel(self) -> None:
        """Make the current step, or else the next one, return early with StepCancelledError. Any thread."""
    def close(self) -> None:
        """Close the runner and cancel a step of another thread. Weights, cache and threads are freed at once unless
        others still use them. Memory that `step` and `embeddings` returned stays until its last array is gone."""

# --- sample.pxi
def sampler_steps() -> tuple[str, ...]:
    """The names of a sampler chain's steps, in their usual order."""

@final
class Sampler:
    """One generation's sampler chain with its own random generator and token history. Deterministic for a seed."""

    def __init__(
        self, n_vocab: int, *, samplers: Sequence[str], logit_bias: dict[int, float], seed: int, **values: float
    ) -> None:
        """samplers: the chain's steps in their order, of `sampler_steps()`. values: all other fields of
        `oxi_sampler_params` by name; a float32 or an int32 each."""
    def accept(self, token: int, breaks: bool = False) -> None:
        """Add a token (prompt or generated) to what penalties and DRY look at.

        breaks: the token completes a sequence breaker of DRY.
        """

@final
class Choice:
    """What to choose from one row of logits, and what was chosen. For one call of `Chooser.choose`."""

    def __init__(
        self,
        sampler: Sampler | None = None,
        *,
        token: int = -1,
        banned: Iterable[int] = (),
        n_top: int | None = None,
        allowed: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        """The sampler draws a token, never one of `banned`, and does not accept it; None: the token is given.

        allowed: [(n_vocab + 31) // 32] words; bit i % 32 of word i // 32 says whether token i may be drawn. It may be
        filled until the choice is made. Log-probabilities do not depend on it.
        n_top: the token's log-probability is wanted, with this many most likely tokens.
        """
    def result(self) -> tuple[int, float | None, list[tuple[int, float]]]:
        """(the token, its log-probability, the most likely (id, log-probability), best first).

        Without n_top, the log-probability is None. Raises GenerationError if no logit left is above -inf, and
        InvalidParameterError for an id that is not in the vocabulary.
        """

@final
class Chooser:
    """Makes the choices of a step on a pool's threads. Holds the memory for that. One thread at a time."""

    n_vocab: int

    def __init__(self, n_vocab: int, n_threads: int = 1) -> None: ...
    def choose(self, pool: ThreadPool | None, logits: Float32, choices: Sequence[Choice | None]) -> None:
        """Make choices[i] from row i of `logits` [n, n_vocab]; None: leave the row out. Releases the GIL.

        A result depends on its own row and sampler alone, to the last bit. NaN counts as -inf. Errors of one choice are
        raised by its `result`. Raises InvalidParameterError if the pool, a sampler or this chooser is in use, and in a
        forked child; then no choice was made. pool None: all are made on the calling thread.
        """

# --- text.pxi
@final
class SpmVocab:
    """The pieces of a SentencePiece BPE vocabulary with their scores. Threads may share it.

    Pieces are UTF-8; an empty piece is never found.

    `seed` should be random, so that a file cannot choose pieces that collide in the table.
    """

    def __init__(self, pieces: list[bytes], scores: Float32, seed: int) -> None: ...
    def encode(self, text: bytes) -> npt.NDArray[np.int32]:
        """Tokens of a UTF-8 text; where no token fits, -1 - b for each byte b. Releases the GIL."""
