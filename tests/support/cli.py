"""Runs the command as a user would: in its own process, with bytes in and out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**changes: str) -> dict[str, str]:
    """The environment for a child process: it finds this checkout, and none of the caller's OXILLAMA_* settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OXILLAMA_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **changes}


def oxillama(
    *arguments: str | Path | int | float, stdin: bytes = b"", timeout: float = 60, **env: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `oxillama ARGUMENTS…` to its end, and capture its output."""
    command = [sys.executable, "-m", "oxillama", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, env=environment(**env))
