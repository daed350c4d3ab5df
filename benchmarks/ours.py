"""Run oxillama's own measurements, each in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def environment(isa: str | None = None) -> dict[str, str]:
    """A child's environment: this checkout if it is built in place, and the requested isa."""
    env = dict(os.environ)
    if any((ROOT / "oxillama/core").glob("_core*.so")):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    if isa:
        env["OXILLAMA_ISA"] = isa
    return env


def bench(model: Path, isa: str | None = None, **options: int | str) -> dict[str, Any]:
    """`oxillama bench --json` with the options given, as a dict."""
    flags = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "oxillama", "bench", "--model", str(model), "--json", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(isa))
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
