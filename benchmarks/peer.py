"""The programs to compare with: llama.cpp's own benchmarks, found through LLAMA_CPP_BIN or PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path


def program(name: str) -> Path:
    """The path of llama.cpp's program `name`; ends the script if it is missing."""
    folder = os.environ.get("LLAMA_CPP_BIN")
    found = shutil.which(name, path=folder) if folder else shutil.which(name)
    if found is None:
        raise SystemExit(
            f"{name} not found: build llama.cpp and set LLAMA_CPP_BIN to its folder of programs (or give --no-peer)"
        )
    return Path(found)


def llama_bench(
    model: Path, *, threads: int, prompt: int, new: int, depth: int = 0, reps: int = 1, kv_type: str = "f16"
) -> dict[str, float]:
    """Tokens per second of llama-bench: {"prefill": …, "decode": …}. With a cache type other than f16, flash
    attention is on, because quantised values need it.
    """
    command = [
        str(program("llama-bench")), "-m", str(model), "-t", str(threads), "-p", str(prompt), "-n", str(new),
        "-d", str(depth), "-r", str(reps), "-o", "json",
    ]  # fmt: skip
    if kv_type != "f16":
        command += ["-ctk", kv_type, "-ctv", kv_type, "-fa", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rates = {}
    for row in json.loads(done.stdout):
        rates["prefill" if row["n_prompt"] else "decode"] = float(row["avg_ts"])
    return rates


def llama_batched_bench(model: Path, *, threads: int, prompt: int, new: int, sequences: int) -> dict[str, float]:
    """Tokens per second of llama-batched-bench, all sequences together: {"prefill": …, "decode": …}."""
    command = [
        str(program("llama-batched-bench")), "-m", str(model), "-t", str(threads), "-tb", str(threads),
        "-npp", str(prompt), "-ntg", str(new), "-npl", str(sequences), "-c", str((prompt + new) * sequences + 256),
        "--output-format", "jsonl",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    row = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return {"prefill": float(row["speed_pp"]), "decode": float(row["speed_tg"])}
