"""The boundary between Python and C, typed. `_core.pyx` includes one .pxi per area; policy and defaults live above."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
MetadataValue = bool | int | float | str | list[str] | list[Any] | npt.NDArray[Any]

# --- kernels.pxi
def isa() -> str:
    """Name of the kernel row in use."""

def available_isas() -> list[str]:
    """Rows this CPU can execute, slowest first."""

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
    def metadata_types(self) -> dict[str, str]:
        """GGUF type names: "u32", "str", "arr[i32]", …"""
    def tensors(self) -> dict[str, TensorInfo]: ...
    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """The tensor's bytes, a read-only view of the mapping that keeps it open.

        Raises KeyError for a name the file does not have, ModelFormatError when the file was cut short meanwhile.
        """

def tensor_types() -> dict[int, tuple[str, int, int]]:
    """Every tensor type whose size is known: number → (name, weights per block, bytes per block)."""

def dequantize(type: int, data: npt.NDArray[np.uint8], n: int) -> Float32: ...
def quantize(type: int, values: Float32) -> npt.NDArray[np.uint8]: ...

# --- model.pxi
@final
class ThreadPool:
    def __init__(self, n_threads: int) -> None: ...
    @property
    def n_threads(self) -> int: ...

@final
class Runner:
    """A model ready to step: packed weights, program, paged KV cache, scratch and thread pool, in one handle.

    Not thread-safe: one thread at a time, except `cancel`. Sequences are small integers; pages hold `page_size` tokens.
    """

    n_vocab: int
    n_embd: int
    n_batch: int  # most tokens in one step
    page_size: int
    n_pages: int

    # Construction belongs to oxillama.models (see models/loader.py), which knows the program.
    def seq_open(self) -> int:
        """A new empty sequence. Raises KVCacheFullError when all sequence slots are taken."""
    def seq_close(self, seq: int) -> None:
        """Drop the sequence; pages no other sequence shares become free at once."""
    def seq_len(self, seq: int) -> int: ...
    def seq_reserve(self, seq: int, n_tokens: int) -> None:
        """Make room for n_tokens more. All or nothing; raises KVCacheFullError."""
    def seq_truncate(self, seq: int, n_tokens: int) -> None:
        """Keep the first n_tokens."""
    def seq_fork(self, seq: int, n_tokens: int) -> int:
        """A new sequence that shares the first n_tokens of `seq` (pages shared, the last one copied on write)."""
    @property
    def free_pages(self) -> int: ...
    def step(
        self, tokens: npt.NDArray[np.int32], seqs: Sequence[int], counts: Sequence[int], outputs: npt.NDArray[np.bool_]
    ) -> Float32:
        """Append `counts[i]` tokens to sequence `seqs[i]`, runs back to back in `tokens`, and evaluate them all.

        Returns logits [n_outputs, n_vocab] for the positions that `outputs` flags, in order: a view of the runner's own
        memory, valid until the next step. Reserves what it needs (all or nothing). Releases the GIL. After an error
        nothing was appended. Raises KVCacheFullError, InvalidParameterError (token id, count, n_batch), GenerationError.
        """
    def embeddings(self) -> Float32:
        """Final hidden states [n_outputs, n_embd] (after the output norm) of the last step's flagged positions."""
    def cancel(self) -> None:
        """Make a step that is under way return early (between layers) with GenerationError. Any thread."""
    def close(self) -> None: ...

# --- sample.pxi
@final
class Sampler:
    """One generation's sampler chain with its own random generator and token history. Deterministic for a seed."""

    def __init__(
        self,
        n_vocab: int,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repeat_penalty: float,
        repeat_last_n: int,
        frequency_penalty: float,
        presence_penalty: float,
        logit_bias: dict[int, float],
        seed: int,
    ) -> None: ...
    def accept(self, token: int) -> None:
        """Add a token (prompt or generated) to the history penalties look at."""
    def sample(self, logits: Float32, banned: Sequence[int] = ()) -> int:
        """Choose from one row [n_vocab]; does not accept it. NaN counts as -inf; all NaN raises GenerationError."""

def log_softmax_top(logits: Float32, token: int, n_top: int) -> tuple[float, list[tuple[int, float]]]:
    """(log-probability of `token`, the n_top most likely (id, log-probability), best first) of one row."""
