"""What decides the bytes of a quantised file beside its description: it tells whether an interrupted run may go on."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from oxillama._version import __version__

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile
    from oxillama.quant.importance import Importance

# Raised with every change of what a type's bytes are for the same weights, which a version in the making may see often.
ROUNDING = 2


def fingerprint(file: GGUFFile, importance: Importance | None) -> str:
    """The version that rounds, the files read, as they are named and were last changed, and the importance by its
    values. Types and metadata are left to the description of the file to write. Raises OSError."""
    files = []
    for path in _paths(file):
        status = path.stat()
        files.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    columns = {}
    if importance is not None:
        for name, values in sorted(importance.columns.items()):
            columns[name] = [list(values.shape), zlib.crc32(values.tobytes())]
    return json.dumps({"version": __version__, "rounding": ROUNDING, "files": files, "importance": columns})


def _paths(file: GGUFFile) -> list[Path]:
    """The file, or all of its shards."""
    first, count = Path(file.path), file.get_int("split.count", 1)
    stem = re.sub(r"-\d{5}-of-\d{5}\.gguf$", "", first.name)
    if count < 2 or stem == first.name:
        return [first]
    return [first.with_name(f"{stem}-{i + 1:05d}-of-{count:05d}.gguf") for i in range(count)]
