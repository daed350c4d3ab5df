"""The inputs, besides its description, that determine a quantised file's bytes. They decide if a run may resume."""

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

# Raised whenever the same weights get different bytes in some type; during development that may happen often.
ROUNDING = 2


def fingerprint(file: GGUFFile, importance: Importance | None) -> str:
    """The rounding's version, the input files by name and modification time, and the importance by its values.
    Types and metadata are covered by the description of the output file. Raises OSError."""
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
