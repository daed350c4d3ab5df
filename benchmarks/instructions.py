"""How many instructions does one token of decode take? valgrind counts them, so the machine's load does not matter.

    LLAMA_CPP_BIN=…/bin python benchmarks/instructions.py --type Q4_K_M

Each side runs on one thread, once for two tokens and once for more. The difference per token is the cost of a step,
without loading. A small model needs many tokens (`--tokens`) to stand out from the variation of Python's start.
valgrind executes AVX2 but not AVX-512, so both sides run their AVX2 code: use a peer that was built for AVX2. Takes
several minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ours
import peer
import report
from make_model import DEFAULT_FOLDER, made

FEW = 2
STEADY = {"PYTHONHASHSEED": "0"}  # otherwise sets have a different order in every process


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--tokens", type=int, default=4, help="how many tokens more the longer run makes")
    parser.add_argument("--no-peer", action="store_true", help="count our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    args = parser.parse_args()
    if args.tokens < 1:
        parser.error(f"--tokens {args.tokens}: at least 1 is needed to see what one costs")
    return args


def instructions(command: list[str]) -> int:
    """Instructions a command executes in user mode."""
    with tempfile.NamedTemporaryFile() as profile:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile.name}"]
        env = ours.environment() | STEADY
        done = subprocess.run([*valgrind, *command], capture_output=True, text=True, env=env)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()[-400:]}")
    return int(found[1])


def per_token(command: list[str], count: str, tokens: int) -> float:
    """The cost of one more token, from a run with `tokens` more. `count`: the option for a run's number of tokens."""
    few, more = (instructions([*command, count, str(n)]) for n in (FEW, FEW + tokens))
    return (more - few) / tokens


def main() -> None:
    args = arguments()
    model = str(made(args.shape, args.type, args.models))
    run = [sys.executable, "-m", "oxillama", "run", "--model", model, "--threads", "1", "--temp", "0"]
    run += ["--prompt-ids", "1"]
    # Not counted: compiles modules to bytecode, so that no counted run has to.
    subprocess.run([*run, "--max-tokens", "1"], capture_output=True, env=ours.environment())
    mine = per_token(run, "--max-tokens", args.tokens)
    theirs = None
    if not args.no_peer:
        bench = str(peer.program("llama-bench"))
        theirs = per_token([bench, "-m", model, "-t", "1", "-r", "1", "-p", "0", "--no-warmup"], "-n", args.tokens)
    row: dict[str, Any] = {
        "model": f"{args.shape} {args.type}",
        "oxillama, M per token": mine / 1e6,
        "llama.cpp, M per token": theirs / 1e6 if theirs else None,
        "ratio": theirs / mine if theirs else None,
    }
    report.emit(args, [row])


if __name__ == "__main__":
    main()
