"""The layout of a GGUF file or its shards: the tensors' offsets and the headers before them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oxillama.core._core import tensor_types
from oxillama.errors import InvalidParameterError
from oxillama.gguf.encode import MAX_KEY_BYTES, MAX_NAME_BYTES, encode_key, encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TYPES = {name: (number, block, size) for number, (name, block, size) in tensor_types().items()}
_VERSION = 3


@dataclass(slots=True)
class Tensor:
    number: int
    name: str
    type_name: str
    shape: tuple[int, ...]
    n_bytes: int
    shard: int = 0
    offset: int = 0  # from the start of its shard's data
    written: bool = False


@dataclass(slots=True)
class Shard:
    path: Path
    tensors: list[Tensor] = field(default_factory=list)
    data_bytes: int = 0
    data_start: int = 0
    header: bytes = b""

    @property
    def file_bytes(self) -> int:
        return self.data_start + self.data_bytes if self.tensors else len(self.header)


def lay_out(
    path: Path, tensors: Sequence[Tensor], metadata: dict[str, bytes], alignment: int, shard_bytes: int | None
) -> list[Shard]:
    """Assign tensors to shards, in order and with offsets; make each shard's header. `metadata`: encoded, by key."""

    def padded(n: int) -> int:
        return -(-n // alignment) * alignment

    shards = [Shard(path)]
    for tensor in tensors:
        shard = shards[-1]
        size = padded(tensor.n_bytes)
        if shard_bytes is not None and shard.tensors and shard.data_bytes + size > shard_bytes:
            shard = Shard(path)
            shards.append(shard)
        tensor.shard = len(shards) - 1
        tensor.offset = shard.data_bytes
        shard.tensors.append(tensor)
        shard.data_bytes += size
    if shard_bytes is not None:
        if len(shards) > 65535:
            raise InvalidParameterError(f"shard_bytes: {shard_bytes} would make {len(shards)} shards")
        for i, shard in enumerate(shards):
            shard.path = path.with_name(f"{path.stem}-{i + 1:05d}-of-{len(shards):05d}.gguf")
    for i, shard in enumerate(shards):
        keys = list(metadata.values()) if i == 0 else []
        if i > 0 and "general.alignment" in metadata:
            keys = [metadata["general.alignment"]]
        if shard_bytes is not None:
            keys += _split_keys(i, len(shards), len(tensors))
        shard.header = _header(shard, keys)
        shard.data_start = padded(len(shard.header))
    return shards


def _split_keys(index: int, n_shards: int, n_tensors: int) -> list[bytes]:
    return [
        encode_key(key, MAX_KEY_BYTES, "key") + encode_value(key, value, kind)
        for key, value, kind in (
            ("split.no", index, "u16"),
            ("split.count", n_shards, "u16"),
            ("split.tensors.count", n_tensors, "i32"),
        )
    ]


def _header(shard: Shard, keys: list[bytes]) -> bytes:
    parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(shard.tensors), len(keys)), *keys]
    for tensor in shard.tensors:
        parts.append(encode_key(tensor.name, MAX_NAME_BYTES, "tensor"))
        parts.append(struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
        parts.append(struct.pack("<IQ", TYPES[tensor.type_name][0], tensor.offset))
    return b"".join(parts)
