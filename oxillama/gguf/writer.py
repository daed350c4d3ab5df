"""Writing GGUF files, version 3: all metadata and tensor descriptions first, then the tensors' bytes in any order.

    with GGUFWriter("model.gguf") as writer:
        writer.add("general.architecture", "llama")
        writer.add("llama.block_count", 22, "u32")
        writer.add_tensor_info("token_embd.weight", "Q8_0", (2048, 32000))
        writer.add_tensor_info("output_norm.weight", "F32", (2048,))
        writer.write_tensor("output_norm.weight", norm)            # a numpy array, or bytes
        writer.write_tensor("token_embd.weight", chunks)           # or pieces of bytes, so that nothing large is held

The file appears under its name when the block ends without an error; until then, and after an error, there is no file.
A writer with a `plan` leaves hidden files when it is interrupted or killed, and the next writer of that plan resumes:

    with GGUFWriter("model.gguf", plan="what decides the tensors' bytes") as writer:
        ...  # describe
        kept = writer.start()
        ...  # write the tensors that are not in `kept`
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oxillama.errors import InvalidParameterError, OxillamaError
from oxillama.gguf.encode import MAX_KEY_BYTES, MAX_NAME_BYTES, encode_key, encode_value, infer_type
from oxillama.gguf.journal import Journal
from oxillama.gguf.layout import TYPES, Shard, Tensor, lay_out
from oxillama.gguf.output import DISK, Output, remove_partials
from oxillama.gguf.tensor_bytes import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Buffer

    from oxillama.gguf.tensor_bytes import TensorData

COMMIT_S = 1.0
"""Seconds after which finished tensors are synced and recorded in the journal: a killed writer loses no more."""
_CHECK_BYTES = 4 << 20


class GGUFWriter:
    """Writes one model: a single file, or shards of at most `shard_bytes` of tensor data each (a larger tensor gets a
    shard of its own) named NAME-00001-of-0000N.gguf. Shapes are as in the file: shape[0] is the contiguous dimension.

    `plan`: a text that names everything that determines the tensors' bytes and is not in the description. With a plan,
    an interrupted block leaves its work to the next writer of the same plan and description, unless it ended with an
    OxillamaError, which would recur. `restart`: start over in any case.

    Raises InvalidParameterError for what a reader would refuse, and OSError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        alignment: int = 32,
        shard_bytes: int | None = None,
        plan: str | None = None,
        restart: bool = False,
    ) -> None:
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
        self._plan = plan
        self._restart = restart
        self._tensors: dict[str, Tensor] = {}
        self._pending: dict[str, TensorData] = {}
        self._shards: list[Shard] = []
        self._outputs: list[Output] = []
        self._journal: Journal | None = None
        self._unnoted: list[tuple[Tensor, int]] = []  # finished, but not in the journal yet; with their CRC-32
        self._noted_at = 0.0
        self.suspended = False  # left files that can be resumed
        if alignment != 32:
            self.add("general.alignment", alignment, "u32")

    @property
    def paths(self) -> list[Path]:
        """The output files; known once the first tensor is written."""
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
        """Describe a tensor whose bytes `write_tensor` will write later. `type_name`: "F32", "Q4_K", …"""
        self._describing(f"tensor '{name}'")
        encode_key(name, MAX_NAME_BYTES, "tensor")
        if name in self._tensors:
            raise InvalidParameterError(f"tensor '{name}': was declared already")
        if type_name not in TYPES:
            raise InvalidParameterError(f"tensor '{name}': unknown type '{type_name}'")
        _, block, block_bytes = TYPES[type_name]
        dims = tuple(int(n) for n in shape)
        if not 1 <= len(dims) <= 4 or min(dims) < 1:
            raise InvalidParameterError(f"tensor '{name}': {list(dims)} is not a shape of 1 to 4 dimensions above 0")
        if dims[0] % block:
            raise InvalidParameterError(
                f"tensor '{name}': rows of {dims[0]} elements are no multiple of {type_name}'s block of {block}"
            )
        self._tensors[name] = Tensor(len(self._tensors), name, type_name, dims, prod(dims) // block * block_bytes)

    def add_tensor(self, name: str, array: np.ndarray[Any, Any], type_name: str = "F32") -> None:
        """Add a tensor with its values, which are kept until the file is written. The array's last dimension is the
        contiguous one: an array of shape (rows, columns) is a tensor of shape (columns, rows)."""
        self.add_tensor_info(name, type_name, array.shape[::-1])
        self._pending[name] = array

    def _describing(self, what: str) -> None:
        if self._shards:
            raise InvalidParameterError(f"{what}: comes too late, tensors are being written already")

    # ---------------------------------------------------------------------------------------------------- writing

    def start(self, found: Callable[[str], None] | None = None) -> frozenset[str]:
        """Start writing, unless already started: then only the tensors' bytes are missing. Returns the names of the
        tensors that an interrupted writer finished; `found` gets each name as soon as its bytes are checked."""
        self._begin(found)
        return frozenset(name for name, tensor in self._tensors.items() if tensor.written)

    def _begin(self, found: Callable[[str], None] | None = None) -> None:
        if self._shards:
            return
        self._shards = lay_out(
            self.path, list(self._tensors.values()), self._metadata, self._alignment, self._shard_bytes
        )
        try:
            self._open(found)
        except BaseException as error:
            self._end(error)
            raise

    def _open(self, found: Callable[[str], None] | None) -> None:
        sums: dict[int, int] = {}
        if self._plan is not None:
            self._journal = Journal(self.path)
            sums = self._begin_or_go_on(self._journal)
        for shard in self._shards:
            output = Output(shard.path, resumable=self._journal is not None)
            self._outputs.append(output)
            output.write(shard.header, 0)
            # The padding after the last tensor, and holes that are not yet written, read as zeros.
            DISK.truncate(output.fd, shard.file_bytes)
        if self._journal is not None:
            DISK.fsync_dir(str(self.path.parent))
        for tensor in self._tensors.values():
            if tensor.number in sums and self._checksum(tensor) == sums[tensor.number]:
                tensor.written = True
                if found is not None:
                    found(tensor.name)
        self._noted_at = time.monotonic()

    def _begin_or_go_on(self, journal: Journal) -> dict[int, int]:
        digest = hashlib.sha256(str(self._plan).encode("utf-8", "surrogateescape"))
        for shard in self._shards:
            digest.update(shard.header)
        sums = None if self._restart else journal.read(digest.hexdigest())
        if sums is None:
            journal.begin(digest.hexdigest())
            remove_partials(self.path)
        return sums or {}

    def _checksum(self, tensor: Tensor) -> int:
        """CRC-32 of the bytes at a tensor's place in the file."""
        at, end = self._place(tensor)
        crc, fd = 0, self._outputs[tensor.shard].fd
        while at < end and (piece := os.pread(fd, min(_CHECK_BYTES, end - at), at)):
            crc = zlib.crc32(piece, crc)
            at += len(piece)
        return crc

    def _place(self, tensor: Tensor) -> tuple[int, int]:
        at = self._shards[tensor.shard].data_start + tensor.offset
        return at, at + tensor.n_bytes

    def write_tensor(self, name: str, data: TensorData | Iterable[Buffer]) -> None:
        """A declared tensor's content: its exact bytes (whole, or in pieces), or a numpy array of its values, which are
        converted to the tensor's type."""
        tensor = self._tensors.get(name)
        if tensor is None:
            raise InvalidParameterError(f"tensor '{name}': was not declared")
        self._begin()
        if tensor.written:
            raise InvalidParameterError(f"tensor '{name}': was written already")
        pieces: Iterable[Buffer] = (
            [tensor_bytes(name, tensor.type_name, tensor.shape, data)]
            if isinstance(data, bytes | bytearray | memoryview | np.ndarray)
            else data
        )
        output, crc = self._outputs[tensor.shard], 0
        at, end = self._place(tensor)
        for piece in pieces:
            view = memoryview(piece).cast("B")
            if len(view) > end - at:
                raise InvalidParameterError(f"tensor '{name}': more than its {tensor.n_bytes} bytes were given")
            output.write(view, at)
            at += len(view)
            if self._journal is not None:
                crc = zlib.crc32(view, crc)
        if at != end:
            raise InvalidParameterError(
                f"tensor '{name}': {at - end + tensor.n_bytes} of its {tensor.n_bytes} bytes were given"
            )
        tensor.written = True
        if self._journal is not None:
            self._unnoted.append((tensor, crc))
            if time.monotonic() - self._noted_at >= COMMIT_S:
                self._note()

    def _note(self) -> None:
        """Sync the latest tensors to the disk, and only then record them in the journal."""
        if self._journal is None or not self._unnoted:
            return
        # After a failed fsync the disk's content is unknown, so these tensors are never recorded.
        noted, self._unnoted = self._unnoted, []
        for shard in {tensor.shard for tensor, _ in noted}:
            DISK.fsync(self._outputs[shard].fd)
        self._journal.add({tensor.number: crc for tensor, crc in noted})
        self._noted_at = time.monotonic()

    def close(self) -> None:
        """Write the tensors that `add_tensor` kept, check that none is missing, and move the files to their names."""
        try:
            self._begin()
            for name, array in self._pending.items():
                if not self._tensors[name].written:
                    self.write_tensor(name, array)
            missing = [tensor.name for tensor in self._tensors.values() if not tensor.written]
            if missing:
                raise InvalidParameterError(
                    f"tensor '{missing[0]}': was declared but not written ({len(missing)} such)"
                )
            self._note()
            for output in self._outputs:
                DISK.fsync(output.fd)
            # The first shard is moved last: if it exists, so do its siblings.
            for output in reversed(self._outputs):
                output.publish()
            if self._journal is not None:
                DISK.fsync_dir(str(self.path.parent))
        except BaseException as error:
            self._end(error)
            raise
        self.discard()

    def _end(self, error: BaseException) -> None:
        """Leave the files that another writer can resume from, if any."""
        if self._journal is None or isinstance(error, OxillamaError):
            self.discard()
            return
        with contextlib.suppress(OSError):  # earlier records still hold, and `error` says more
            self._note()
        if self._journal.lines == 0 or all(output.published for output in self._outputs):
            self.discard()
            return
        self.suspended = True
        for output in self._outputs:
            output.close()
        self._journal.close()
        self._outputs, self._journal = [], None
        self._pending.clear()

    def discard(self) -> None:
        """Remove files that have not been moved to their names."""
        for output in self._outputs:
            output.discard()
        self._outputs = []
        if self._journal is not None:
            self._journal.remove()
            self._journal = None
        self._pending.clear()

    def __enter__(self) -> GGUFWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._end(error)
