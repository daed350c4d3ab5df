"""How long does start-up take, and how much memory does it use? Import, --help, and a server on a real-sized model.

    python benchmarks/startup.py --type Q4_K_M

The model's pages are read once before, to keep the disk out of the figures. Resident memory is compared with the
size of the file plus the KV cache.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ours
import report
from make_model import DEFAULT_FOLDER, made
from shapes import SHAPES, Shape


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--ctx-size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def command_seconds(arguments: list[str], reps: int) -> float:
    """Median wall time of a Python process."""
    times = []
    for _ in range(reps + 1):  # the first run fills the page cache and writes bytecode
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=ours.environment())
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def serve_once(model: Path, args: argparse.Namespace) -> tuple[float, int]:
    """(seconds until `oxillama serve` prints its URL, resident bytes at that moment)."""
    with tempfile.TemporaryDirectory() as data_dir:
        command = [
            sys.executable, "-m", "oxillama", "serve", "--model", str(model), "--port", "0", "--parallel", "1",
            "--ctx-size", str(args.ctx_size), "--threads", str(args.threads), "--data-dir", data_dir,
        ]  # fmt: skip
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=ours.environment())
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = time.perf_counter() - start
            if b"http" not in line:
                raise SystemExit(f"the server did not start: {line!r}")
            return ready, resident(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def resident(pid: int) -> int:
    """VmRSS of a process, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def kv_bytes(shape: Shape, n_ctx: int) -> int:
    """Keys and values of every layer for n_ctx tokens, in f16."""
    return 2 * shape.n_layer * n_ctx * shape.n_head_kv * shape.d_head * 2


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    model.read_bytes()
    runs = [serve_once(model, args) for _ in range(args.reps)]
    held = statistics.median(rss for _, rss in runs)
    expected = model.stat().st_size + kv_bytes(SHAPES[args.shape], args.ctx_size)
    rows: list[dict[str, Any]] = [
        {"what": "python, doing nothing", "median": _ms(command_seconds(["-c", "pass"], args.reps))},
        {"what": "import oxillama", "median": _ms(command_seconds(["-c", "import oxillama"], args.reps))},
        {"what": "oxillama --help", "median": _ms(command_seconds(["-m", "oxillama", "--help"], args.reps))},
        {"what": f"serve {args.shape} {args.type}, ready", "median": _ms(statistics.median(s for s, _ in runs))},
        {"what": "resident / (file + KV cache)", "median": f"{held / expected:.2f}"},
        {"what": "resident", "median": f"{held / 2**20:.0f} MiB"},
        {"what": "file + KV cache", "median": f"{expected / 2**20:.0f} MiB"},
    ]
    report.emit(args, rows, threads=args.threads, reps=args.reps)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    main()
