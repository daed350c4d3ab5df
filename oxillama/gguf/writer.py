"""Writing GGUF files, version 3: all metadata and tensor descriptions first, then the tensors' bytes in any order.

    with GGUFWriter("model.gguf") as writer:
        writer.add("general.architecture", "llama")
        writer.add("llama.block_count", 22, "u32")
        writer.add_tensor_info("token_embd.weight", "Q8_0", (2048, 32000))
        writer.add_tensor_info("output_norm.weight", "F32", (2048,))
        writer.write_tensor("output_norm.weight", norm)            # a numpy array, or bytes
        writer.write_tensor("token_embd.weight", chunks)           # or pieces of bytes, so that nothing large is held

The file appears under its name when the block ends without an error; before that, and after one, nothing is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oxillama.core._core import tensor_types
from oxillama.errors import InvalidParameterError
from oxillama.gguf.encode import MAX_KEY_BYTES, MAX_NAME_BYTES, encode_key, encode_value, infer_type
from oxillama.gguf.tensor_bytes import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO
    from types import TracebackType

    from typing_extensions import Buffer

    from oxillama.gguf.tensor_bytes import TensorData

_TYPES = {name: (number, block, size) for number, (name, block, size) in tensor_types().items()}
_VERSION = 3
ORPHAN_S = 60.0
"""Seconds without a write after which a temporary file that nobody has locked counts as left behind."""


@dataclass(slots=True)
class _Tensor:
    name: str
    type_name: str
    shape: tuple[int, ...]
    n_bytes: int
    shard: int = 0
    offset: int = 0  # from the start of its shard's data
    written: bool = False


@dataclass(slots=True)
class _Shard:
    path: Path
    tensors: list[_Tensor] = field(default_factory=list)
    data_bytes: int = 0
    data_start: int = 0
    temporary: Path | None = None
    stream: FileIO | None = None


class GGUFWriter:
    """Writes one model: a single file, or shards of at most `shard_bytes` of tensor data each (a larger tensor gets a
    shard of its own) named NAME-00001-of-0000N.gguf. Shapes are as in the file: shape[0] is the contiguous dimension.

    Raises InvalidParameterError for whatever a reader would refuse, and OSError.
    """

    def __init__(self, path: str | os.PathLike[str], *, alignment: int = 32, shard_bytes: int | None = None) -> None:
        if alignment < 8 or alignment > 2**20 or alignment & (alignment - 1):
            raise InvalidParameterError(f"alignment: {alignment} is not a power of two from 8 to {2**20}")
        if shard_bytes is not None and shard_bytes < 1:
            raise InvalidParameterError(f"shard_bytes: {shard_bytes} is not at least 1")
        self.path = Path(path)
        if shard_bytes is not None and self.path.suffix != ".gguf":
            raise InvalidParameterError(f"{self.path}: the name of a sharded model must end in .gguf")
        self._alignment = alignment
        self._shard_bytes = shard_bytes
        self._metadata: dict[str, bytes] = {}
        self._tensors: dict[str, _Tensor] = {}
        self._pending: dict[str, TensorData] = {}
        self._shards: list[_Shard] = []
        if alignment != 32:
            self.add("general.alignment", alignment, "u32")

    @property
    def paths(self) -> list[Path]:
        """The files written, once the first tensor has been."""
        return [shard.path for shard in self._shards]

    # ------------------------------------------------------------------------------------------------- describing

    def add(self, key: str, value: Any, kind: str | None = None) -> None:
        """One metadata key. `kind` is a GGUF type name ("u32", "arr[i32]", "arr[arr[str]]", …); without one, whole
        numbers become u32 (negative ones i32, large ones u64), floats f32, lists arrays of i32, f32, str or bool, and
        numpy values keep their own type."""
        self._describing(f"key '{key}'")
        if key in self._metadata:
            raise InvalidParameterError(f"key '{key}': was added already")
        if key == "general.alignment" and (value != self._alignment or kind != "u32"):
            raise InvalidParameterError("key 'general.alignment': give it to the constructor")
        head = encode_key(key, MAX_KEY_BYTES, "key")
        self._metadata[key] = head + encode_value(key, value, infer_type(key, value) if kind is None else kind)

    def add_tensor_info(self, name: str, type_name: str, shape: Sequence[int]) -> None:
        """A tensor whose bytes `write_tensor` will bring. `type_name`: "F32", "Q4_K", …"""
        self._describing(f"tensor '{name}'")
        encode_key(name, MAX_NAME_BYTES, "tensor")
        if name in self._tensors:
            raise InvalidParameterError(f"tensor '{name}': was declared already")
        if type_name not in _TYPES:
            raise InvalidParameterError(f"tensor '{name}': unknown type '{type_name}'")
        _, block, block_bytes = _TYPES[type_name]
        dims = tuple(int(n) for n in shape)
        if not 1 <= len(dims) <= 4 or min(dims) < 1:
            raise InvalidParameterError(f"tensor '{name}': {list(dims)} is not a shape of 1 to 4 dimensions above 0")
        if dims[0] % block:
            raise InvalidParameterError(
                f"tensor '{name}': rows of {dims[0]} elements are no multiple of {type_name}'s block of {block}"
            )
        self._tensors[name] = _Tensor(name, type_name, dims, prod(dims) // block * block_bytes)

    def add_tensor(self, name: str, array: np.ndarray[Any, Any], type_name: str = "F32") -> None:
        """A tensor with its values, which are kept until the file is written. The array's last dimension is the
        contiguous one: an array of shape (rows, columns) is a tensor of shape (columns, rows)."""
        self.add_tensor_info(name, type_name, array.shape[::-1])
        self._pending[name] = array

    def _describing(self, what: str) -> None:
        if self._shards:
            raise InvalidParameterError(f"{what}: comes too late, tensors are being written already")

    # ---------------------------------------------------------------------------------------------------- writing

    def write_tensor(self, name: str, data: TensorData | Iterable[Buffer]) -> None:
        """A declared tensor's content: its exact bytes (whole, or in pieces), or a numpy array of its values, which are
        converted to the tensor's type."""
        tensor = self._tensors.get(name)
        if tensor is None:
            raise InvalidParameterError(f"tensor '{name}': was not declared")
        if tensor.written:
            raise InvalidParameterError(f"tensor '{name}': was written already")
        if not self._shards:
            self._start()
        shard = self._shards[tensor.shard]
        pieces: Iterable[Buffer] = (
            [tensor_bytes(name, tensor.type_name, tensor.shape, data)]
            if isinstance(data, bytes | bytearray | memoryview | np.ndarray)
            else data
        )
        at = shard.data_start + tensor.offset
        end = at + tensor.n_bytes
        for piece in pieces:
            view = memoryview(piece).cast("B")
            if len(view) > end - at:
                raise InvalidParameterError(f"tensor '{name}': more than its {tensor.n_bytes} bytes were given")
            _write_all(shard, view, at)
            at += len(view)
        if at != end:
            raise InvalidParameterError(
                f"tensor '{name}': {at - end + tensor.n_bytes} of its {tensor.n_bytes} bytes were given"
            )
        tensor.written = True

    def close(self) -> None:
        """Write what `add_tensor` kept, check that nothing is missing, and put the files under their names."""
        try:
            if not self._shards:
                self._start()
            for name, array in self._pending.items():
                if not self._tensors[name].written:
                    self.write_tensor(name, array)
            missing = [tensor.name for tensor in self._tensors.values() if not tensor.written]
            if missing:
                raise InvalidParameterError(
                    f"tensor '{missing[0]}': was declared but not written ({len(missing)} such)"
                )
            for shard in self._shards:
                os.fsync(_stream(shard).fileno())
                _stream(shard).close()
            # The first shard last: whoever finds it finds its siblings.
            for shard in reversed(self._shards):
                assert shard.temporary is not None
                os.replace(shard.temporary, shard.path)
                shard.temporary = None
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what has not been put under its name."""
        for shard in self._shards:
            if shard.stream is not None:
                shard.stream.close()
            if shard.temporary is not None:
                with contextlib.suppress(FileNotFoundError):
                    shard.temporary.unlink()
                shard.temporary = None
        self._pending.clear()

    def __enter__(self) -> GGUFWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    # ------------------------------------------------------------------------------------------------------ layout

    def _padded(self, n: int) -> int:
        return -(-n // self._alignment) * self._alignment

    def _assign(self) -> list[_Shard]:
        """Tensors to shards in the order they were declared, with their offsets."""
        groups = [_Shard(self.path)]
        for tensor in self._tensors.values():
            shard = groups[-1]
            size = self._padded(tensor.n_bytes)
            if self._shard_bytes is not None and shard.tensors and shard.data_bytes + size > self._shard_bytes:
                shard = _Shard(self.path)
                groups.append(shard)
            tensor.shard = len(groups) - 1
            tensor.offset = shard.data_bytes
            shard.tensors.append(tensor)
            shard.data_bytes += size
        if self._shard_bytes is not None:
            if len(groups) > 65535:
                raise InvalidParameterError(f"shard_bytes: {self._shard_bytes} would make {len(groups)} shards")
            for i, shard in enumerate(groups):
                shard.path = self.path.with_name(f"{self.path.stem}-{i + 1:05d}-of-{len(groups):05d}.gguf")
        return groups

    def _start(self) -> None:
        """Write every shard's header; from here on only tensors' bytes are missing."""
        self._shards = self._assign()
        try:
            for i, shard in enumerate(self._shards):
                shard.temporary, shard.stream = _create_beside(shard.path)
                header = self._header(i, shard)
                shard.data_start = self._padded(len(header))
                _write_all(shard, memoryview(header), 0)
                # The padding after the last tensor, and holes that are not yet written, read as zeros.
                os.ftruncate(
                    shard.stream.fileno(), shard.data_start + shard.data_bytes if shard.tensors else len(header)
                )
        except BaseException:
            self.discard()
            raise

    def _header(self, index: int, shard: _Shard) -> bytes:
        metadata = list(self._metadata.values()) if index == 0 else []
        if index > 0 and "general.alignment" in self._metadata:
            metadata = [self._metadata["general.alignment"]]
        if self._shard_bytes is not None:
            for key, value, kind in (
                ("split.no", index, "u16"),
                ("split.count", len(self._shards), "u16"),
                ("split.tensors.count", len(self._tensors), "i32"),
            ):
                metadata.append(encode_key(key, MAX_KEY_BYTES, "key") + encode_value(key, value, kind))
        parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(shard.tensors), len(metadata)), *metadata]
        for tensor in shard.tensors:
            parts.append(encode_key(tensor.name, MAX_NAME_BYTES, "tensor"))
            parts.append(struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
            parts.append(struct.pack("<IQ", _TYPES[tensor.type_name][0], tensor.offset))
        return b"".join(parts)


def _create_beside(path: Path) -> tuple[Path, FileIO]:
    """A new file in the same directory, so that it can be renamed; its name hides it from patterns like *.gguf."""
    _remove_orphans(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    return temporary, _locked(open(temporary, "xb", buffering=0))


def _locked(stream: FileIO) -> FileIO:
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return stream


def _remove_orphans(path: Path) -> None:
    """Remove what writers of the same file left behind when they were killed: a living one holds a lock on its own."""
    left = re.compile(re.escape(f".{path.name}.") + r"\d+-[0-9a-f]{8}\.tmp")
    for name in os.listdir(path.parent):
        orphan = path.with_name(name)
        with contextlib.suppress(OSError):  # locked, gone already, or not ours
            # One just made may not be locked yet.
            if left.fullmatch(name) and time.time() - orphan.stat().st_mtime > ORPHAN_S:
                with orphan.open("rb") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    orphan.unlink()


def _stream(shard: _Shard) -> FileIO:
    assert shard.stream is not None
    return shard.stream


def _write_all(shard: _Shard, view: memoryview, at: int) -> None:
    while view:
        n = os.pwrite(_stream(shard).fileno(), view, at)
        view = view[n:]
        at += n
