"""Builds GGUF files byte by byte, so that a test can make one wrong in any place."""

from __future__ import annotations

import struct

NUMBERS = {
    "u8": (0, "B"),
    "i8": (1, "b"),
    "u16": (2, "H"),
    "i16": (3, "h"),
    "u32": (4, "I"),
    "i32": (5, "i"),
    "f32": (6, "f"),
    "bool": (7, "B"),
    "u64": (10, "Q"),
    "i64": (11, "q"),
    "f64": (12, "d"),
}
STRING, ARRAY = 8, 9
F32, Q4_0, Q8_0, Q4_K = 0, 2, 8, 12


def header(n_tensors: int, n_meta: int, *, magic: bytes = b"GGUF", version: int = 3) -> bytes:
    return magic + struct.pack("<IQQ", version, n_tensors, n_meta)


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def meta(key: str | bytes, number: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", number) + value


def scalar(key: str | bytes, kind: str, value: float) -> bytes:
    number, letter = NUMBERS[kind]
    return meta(key, number, struct.pack("<" + letter, value))


def string(key: str | bytes, value: str | bytes) -> bytes:
    return meta(key, STRING, text(value))


def array(key: str | bytes, element: int, n: int, items: bytes) -> bytes:
    return meta(key, ARRAY, struct.pack("<IQ", element, n) + items)


def tensor(name: str | bytes, shape: tuple[int, ...], type_number: int = F32, offset: int = 0) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", type_number, offset)


def file(keys: list[bytes], tensors: list[bytes], data: bytes = b"", *, alignment: int = 32, version: int = 3) -> bytes:
    """A whole file with correct counts and padding before its data."""
    head = header(len(tensors), len(keys), version=version) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data


def small_model() -> bytes:
    """A valid file with every value type, nested arrays and two tensors."""
    keys = [
        string("general.architecture", "llama"),
        *(scalar(f"test.{kind}", kind, 1) for kind in NUMBERS),
        array("test.strings", STRING, 3, text("a") + text("") + text("é")),
        array("test.numbers", 5, 3, struct.pack("<3i", -1, 0, 1)),
        array("test.bools", 7, 2, b"\x00\x01"),
        array("test.nested", ARRAY, 2, struct.pack("<IQ2H", 2, 2, 7, 8) + struct.pack("<IQ", STRING, 1) + text("deep")),
        array("test.empty", STRING, 0, b""),
    ]
    tensors = [tensor("a.weight", (4, 2)), tensor("b.weight", (32, 1, 2), Q8_0, 32)]
    return file(keys, tensors, struct.pack("<8f", *range(8)) + bytes(range(68)))
