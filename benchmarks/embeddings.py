"""How many short texts become vectors in a second? One request with all of them, beside llama-server.

    LLAMA_CPP_BIN=…/bin python benchmarks/embeddings.py --shape bert-base --type Q8_0 --texts 256

Texts are token ids, 8 to 32 of them, the same for both sides. llama-server gets as many slots as `--slots` says, and
steps that hold all texts that these slots work on. The figure is the best of `--reps` requests.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import report
import servers
from make_model import DEFAULT_FOLDER, made

FIRST_ID = 300  # of a text's tokens: no special ones


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", default="bert-base")
    parser.add_argument("--type", default="Q8_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--shortest", type=int, default=8, help="tokens of the shortest text")
    parser.add_argument("--longest", type=int, default=32)
    parser.add_argument("--slots", type=int, default=32, help="llama-server's")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def texts(args: argparse.Namespace) -> list[list[int]]:
    rng = random.Random(0)
    lengths = (rng.randint(args.shortest, args.longest) for _ in range(args.texts))
    return [[rng.randint(FIRST_ID, FIRST_ID + 200) for _ in range(n)] for n in lengths]


def seconds(port: int, inputs: list[list[int]]) -> float:
    """The time to the vectors of all texts. Ends the script if some are missing."""
    body = json.dumps({"model": "m", "input": inputs, "encoding_format": "base64"}).encode()
    url = f"http://127.0.0.1:{port}/v1/embeddings"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as answer:
        data = answer.read()
    took = time.perf_counter() - began
    found = json.loads(data)["data"]
    if len(found) != len(inputs) or not all(item["embedding"] for item in found):
        raise SystemExit(f"{len(found)} vectors for {len(inputs)} texts")
    return took


def run(side: str, model: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    port, inputs = servers.free_port(), texts(args)
    if side == "oxillama":
        command = servers.ours(model, port, folder, threads=args.threads, ctx=512)
    else:
        tokens = str(args.slots * args.longest)
        command = servers.peers(model, port, threads=args.threads, ctx=args.slots * 512)
        command += ["--embedding", "-np", str(args.slots), "-b", tokens, "-ub", tokens]
    with servers.running(command, port, folder / "log"):
        seconds(port, inputs[:8])
        best = min(seconds(port, inputs) for _ in range(args.reps))
    n_tokens = sum(map(len, inputs))
    return {"server": side, "texts/s": len(inputs) / best, "tokens/s": n_tokens / best, "seconds": best}


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    rows = []
    for side in ["oxillama"] if args.no_peer else ["oxillama", "llama-server"]:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(run(side, model, Path(folder), args))
    report.emit(args, rows, model=f"{args.shape} {args.type}", texts=args.texts, threads=args.threads)


if __name__ == "__main__":
    main()
