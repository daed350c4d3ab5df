"""Quantises a file. Tensors are read from the mapping, quantised a few rows at a time by several threads, and written
at once, so memory holds a few pieces, never the model."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.core._core import Quantizer, dequantize, tensor_types
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.quant.fingerprint import fingerprint
from oxillama.quant.guess import guessed
from oxillama.quant.mixes import (
    ALIASES,
    BASE,
    FILE_TYPE_NUMBERS,
    FLOATS,
    NAMES,
    QUANTIZABLE,
    Traits,
    choose,
    fitting,
    is_quantized,
    layers_of,
    wants_importance,
)

if TYPE_CHECKING:
    from oxillama.core._core import TensorInfo
    from oxillama.quant.importance import Floats, Importance

QUANTIZATION_VERSION = 2  # of the block formats, as general.quantization_version counts
PIECE_WEIGHTS = 1 << 20

_TYPES = {name: (number, block, size) for number, (name, block, size) in tensor_types().items()}
_COUNT_COLUMNS_ALIKE = (*FLOATS, "Q8_0")
# Keys that describe the input file, not the output.
_DROPPED = ("split.", "quantize.imatrix.", "general.file_type", "general.quantization_version", "general.alignment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`pure`: every matrix gets the base type; `output` and `embedding`: types of these two matrices, None: the mix's
    choice; `requantize`: accept a quantised input; `restart`: do not resume an interrupted run."""

    threads: int
    pure: bool = False
    output: str | None = None
    embedding: str | None = None
    requantize: bool = False
    restart: bool = False


@dataclass(slots=True)
class Plan:
    """What will be done. `types`: the type of every tensor, in the file's order."""

    mix: str
    types: dict[str, str]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Sizes in bytes of all tensors together; bits per weight over all of them."""

    mix: str
    bytes_before: int
    bytes_after: int
    weights: int
    types: dict[str, int]

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.bytes_after / self.weights


def mix_named(name: str) -> str:
    """The mix that a user's spelling names. Raises InvalidParameterError with a list of all mixes."""
    mix = name.upper()
    mix = ALIASES.get(mix, mix)
    if mix not in NAMES:
        raise InvalidParameterError(
            f"'{name}' is not a type to quantise to; there are {', '.join(sorted(NAMES))}"
        )
    return mix


def type_named(name: str) -> str:
    """The tensor type with that name. Raises InvalidParameterError with a list of all types."""
    if name.upper() not in QUANTIZABLE:
        known = ", ".join(sorted(QUANTIZABLE))
        raise InvalidParameterError(f"'{name}' is not a tensor type with a quantiser; there are {known}")
    return name.upper()


def traits_of(file: GGUFFile) -> Traits:
    """The facts about a model that the mixes' rules need; files without the keys get the plain rules."""
    arch = file.get_str("general.architecture", "")
    n_head = _first(file, f"{arch}.attention.head_count", 1)
    n_head_kv = _first(file, f"{arch}.attention.head_count_kv", n_head)
    return Traits(
        architecture=arch,
        n_layer=_first(file, f"{arch}.block_count", 0),
        grouping=max(1, n_head // max(1, n_head_kv)),
        n_expert=_first(file, f"{arch}.expert_count", 0),
        tied="output.weight" not in file.tensors,
        layers=layers_of(file.tensors),
    )


def _first(file: GGUFFile, key: str, default: int) -> int:
    """An integer, or the largest of an array with one per layer."""
    if file.metadata_types.get(key, "").startswith("arr["):
        values = file.require_array(key, kind="integer")
        return int(values.max()) if len(values) else default
    return file.get_int(key, default)


def plan(file: GGUFFile, mix: str, options: Options, importance: Importance | None = None) -> Plan:
    """Choose every tensor's type. Refuses what cannot or should not be done before anything is written.

    Raises InvalidParameterError.
    """
    traits = traits_of(file)
    types: dict[str, str] = {}
    fallen: Counter[tuple[str, str]] = Counter()
    again: list[str] = []
    blind: list[str] = []
    for name, info in file.tensors.items():
        if not is_quantized(name, info.shape, traits.architecture):
            types[name] = "F32" if len(info.shape) == 1 and info.type_name in FLOATS else info.type_name
            continue
        chosen = _chosen(name, info, mix, options, traits, importance is not None)
        wanted = _chosen(name, info, mix, options, traits, importance is not None, whole=True)
        if chosen != wanted:
            fallen[wanted, chosen] += 1
        types[name] = chosen
        if info.type_name not in (*FLOATS, chosen):
            again.append(name)
        measured = importance is not None and importance.of(name, info.shape) is not None
        if wants_importance(mix, name, chosen) and not measured:
            blind.append(f"{name} ({chosen})")
    if again and not options.requantize:
        raise InvalidParameterError(
            f"{file.path}: '{again[0]}' is {file.tensors[again[0]].type_name} already, and rounding twice loses twice: "
            f"start from an F32, F16 or BF16 file, or add --allow-requantize"
        )
    warnings = [f"rows that do not fill {of}'s blocks become {to}, in {n} tensors" for (of, to), n in fallen.items()]
    if again:
        warnings.append(f"{len(again)} tensors are quantised already and lose once more")
    if blind:
        warnings.append(f"{blind[0]} and {len(blind) - 1} more lose much without importance: add --imatrix FILE")
    return Plan(mix, types, warnings)


def _chosen(
    name: str, info: TensorInfo, mix: str, options: Options, traits: Traits, importance: bool, *, whole: bool = False
) -> str:
    """A matrix's type. `whole`: as if its rows fitted any block; the difference shows which types were replaced."""
    n_cols = 256 if whole else info.shape[0]
    shape = (n_cols, *info.shape[1:])
    output = name == "output.weight" or (traits.tied and name == "token_embd.weight" and options.embedding is None)
    if output and options.output is not None:
        return fitting(options.output, n_cols)
    if name == "token_embd.weight" and options.embedding is not None:
        return fitting(options.embedding, n_cols)
    if options.pure:
        return fitting(BASE.get(mix, mix), n_cols)
    return choose(mix, name, shape, traits, importance=importance)


def convert(
    file: GGUFFile,
    out: Path,
    plan: Plan,
    options: Options,
    importance: Importance | None = None,
    progress: Callable[[int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> Summary:
    """Write the planned file; it appears under its name when it is complete. `progress` gets the bytes read so far.
    `notice` is called when an interrupted run resumes and when this run is interrupted.

    Raises InvalidParameterError for weights that a type cannot hold, naming the tensor, and while another process
    writes the same file; OSError.
    """
    writer = GGUFWriter(
        out,
        alignment=file.get_int("general.alignment", 32),
        plan=fingerprint(file, importance),
        restart=options.restart,
    )
    try:
        with ThreadPoolExecutor(options.threads, "quantize") as workers, writer:
            _write(file, writer, plan, options, importance, workers, progress or _ignore, notice or _ignore)
    except BaseException:
        if writer.suspended and notice is not None:
            notice("stopped: run the same command to continue, or add --restart to start over")
        raise
    return Summary(
        mix=plan.mix,
        bytes_before=sum(info.n_bytes for info in file.tensors.values()),
        bytes_after=sum(_bytes(plan.types[name], info.n_elements) for name, info in file.tensors.items()),
        weights=sum(info.n_elements for info in file.tensors.values()),
        types=dict(sorted(Counter(plan.types.values()).items())),
    )


def _ignore(_value: object) -> None:
    """A callback that ignores its argument."""


def _write(
    file: GGUFFile,
    writer: GGUFWriter,
    plan: Plan,
    options: Options,
    importance: Importance | None,
    workers: ThreadPoolExecutor,
    progress: Callable[[int], None],
    notice: Callable[[str], None],
) -> None:
    """Write all tensors except those that are there already."""
    quantizers = {name: Quantizer(_TYPES[name][0]) for name in set(plan.types.values()) if name in QUANTIZABLE}
    _add_metadata(file, writer, plan.mix, importance)
    for name, info in file.tensors.items():
        writer.add_tensor_info(name, plan.types[name], info.shape)
    done = 0

    def advance(name: str) -> None:
        nonlocal done
        done += file.tensors[name].n_bytes
        progress(done)

    kept = writer.start(advance)
    missing = [i for i, name in enumerate(file.tensors) if name not in kept]
    if kept:
        n = len(file.tensors)
        notice(f"continuing from tensor {missing[0] + 1} of {n}" if missing else f"all {n} tensors are written already")
    for name, info in file.tensors.items():
        if name in kept:
            continue
        type_name = plan.types[name]
        if type_name == info.type_name:
            pieces = _copied(file, name)
        else:
            columns = _columns(file, info, type_name, importance)
            pieces = _rounded(file, info, quantizers[type_name], columns, workers, options.threads)
        writer.write_tensor(name, _counted(pieces, info, type_name, done, progress))
        file.core.release(name)  # it is read only once; otherwise the whole model would end up resident
        advance(name)


def _columns(file: GGUFFile, info: TensorInfo, type_name: str, importance: Importance | None) -> Floats | None:
    """The importance of each column, [experts, columns]: measured, or else guessed from the weights."""
    if type_name in _COUNT_COLUMNS_ALIKE:
        return None
    measured = importance.of(info.name, info.shape) if importance is not None else None
    if measured is not None:
        return measured
    return guessed(file, info.name)


def _bytes(type_name: str, n: int) -> int:
    _, block, size = _TYPES[type_name]
    return n // block * size


def _add_metadata(file: GGUFFile, writer: GGUFWriter, mix: str, importance: Importance | None) -> None:
    for key, kind in file.metadata_types.items():
        if not key.startswith(_DROPPED):
            value = file.metadata[key]
            # A nested array's type name does not give its element type; the values do.
            writer.add(key, value, kind if kind != "arr[arr]" else None if value else "arr[arr[i32]]")
    writer.add("general.file_type", FILE_TYPE_NUMBERS[mix], "u32")
    writer.add("general.quantization_version", QUANTIZATION_VERSION, "u32")
    if importance is not None:
        writer.add("quantize.imatrix.file", os.path.basename(importance.path), "str")
        if importance.datasets:
            writer.add("quantize.imatrix.dataset", importance.datasets[0], "str")
        writer.add("quantize.imatrix.entries_count", len(importance.columns), "u32")
        writer.add("quantize.imatrix.chunks_count", importance.n_chunks, "u32")


def _copied(file: GGUFFile, name: str) -> Iterator[memoryview]:
    raw = file.raw(name)
    step = 4 * PIECE_WEIGHTS
    for at in range(0, len(raw), step):
        yield raw[at : at + step].data


def _rounded(
    file: GGUFFile,
    info: TensorInfo,
    quantizer: Quantizer,
    importance: Floats | None,
    workers: ThreadPoolExecutor,
    ahead: int,
) -> Iterator[memoryview]:
    """The tensor in its new type, piece by piece in order. Slightly more pieces than threads are in flight."""
    n_cols = info.shape[0]
    rows = info.n_elements // n_cols
    per_expert = info.shape[1] if len(info.shape) > 1 else 1
    raw = file.raw(info.name)
    row_bytes = len(raw) // rows
    step = max(1, PIECE_WEIGHTS // n_cols)

    def piece(start: int, end: int) -> npt.NDArray[np.uint8]:
        encoded = raw[start * row_bytes : end * row_bytes]
        values = dequantize(info.type, encoded, (end - start) * n_cols).reshape(end - start, n_cols)
        columns = None if importance is None else importance[start // per_expert]
        try:
            return quantizer.rows(values, columns)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{file.path}: tensor '{info.name}', rows from {start} on: {error}") from None

    waiting: deque[Future[npt.NDArray[np.uint8]]] = deque()
    try:
        for expert in range(0, rows, per_expert):
            for start in range(expert, expert + per_expert, step):
                waiting.append(workers.submit(piece, start, min(start + step, expert + per_expert)))
                if len(waiting) > ahead:
                    yield waiting.popleft().result().data
        while waiting:
            yield waiting.popleft().result().data
    finally:
        for future in waiting:
            future.cancel()


def _counted(
    pieces: Iterator[memoryview],
    info: TensorInfo,
    type_name: str,
    done: int,
    progress: Callable[[int], None],
) -> Iterator[memoryview]:
    """Yields the pieces and reports how many input bytes they stand for."""
    written, total = 0, _bytes(type_name, info.n_elements)
    for piece in pieces:
        yield piece
        written += piece.nbytes
        progress(done + info.n_bytes * written // total)
