"""How long do clients wait whose prompts begin alike? A burst of completions, beside llama-server.

    LLAMA_CPP_BIN=…/bin python benchmarks/shared_prefix.py --type Q4_0 --clients 16 --words 900

All clients send their prompts at once: the same words, and an ending of their own. "seconds" is the time to the last
answer, "computed" the prompt tokens that the server computed in that time, by its own /metrics. In the row "again" the
same clients send the same prompts once more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import report
import servers
from make_model import DEFAULT_FOLDER, made

SYLLABLES = ["ka", "lo", "mi", "ren", "ta", "vos", "el", "dun", "fa", "shi", "por", "gan", "te", "ulm", "bri"]
COMPUTED = re.compile(r"^(?:oxillama_|llamacpp:)prompt_tokens_total (\S+)$", re.MULTILINE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--words", type=int, default=900, help="words that all prompts begin with")
    parser.add_argument("--new", type=int, default=32, help="tokens of each answer")
    parser.add_argument("--ctx", type=int, default=2048, help="tokens of a request's context")
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def words(n: int, seed: int) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices(SYLLABLES, k=rng.choice((1, 1, 2)))) for _ in range(n))


async def completion(port: int, prompt: str, new: int) -> dict[str, Any]:
    """The answer to a prompt. Ends the script if there is none, or if it is shorter than asked for."""
    body = {"model": "m", "prompt": prompt, "max_tokens": new, "temperature": 0, "ignore_eos": True}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(servers.post("/v1/completions", body))
    head, _, data = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    if head.split(b" ", 2)[1] != b"200":
        raise SystemExit(f"an answer is {head.splitlines()[0].decode()}: {data[:500].decode()}")
    answer: dict[str, Any] = json.loads(data)
    if answer["usage"]["completion_tokens"] != new:
        raise SystemExit(f"an answer has {answer['usage']['completion_tokens']} tokens, not {new}")
    return answer


async def burst(port: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    common = words(args.words, 0)
    prompts = [f"{common} {words(8, 1 + i)}" for i in range(args.clients)]
    return await asyncio.gather(*(completion(port, prompt, args.new) for prompt in prompts))


def computed(port: int) -> int:
    """Prompt tokens that the server has computed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        found = COMPUTED.search(page.read().decode())
    if found is None:
        raise SystemExit("the server's /metrics has no prompt tokens")
    return round(float(found[1]))


def measure(side: str, port: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    asyncio.run(completion(port, "hello", 2))
    rows = []
    for what in ("first", "again"):
        before, began = computed(port), time.perf_counter()
        answers = asyncio.run(burst(port, args))
        seconds = time.perf_counter() - began
        rows.append(
            {
                "server": side,
                "what": what,
                "seconds": seconds,
                "prompt tokens": sum(answer["usage"]["prompt_tokens"] for answer in answers),
                "computed": computed(port) - before,
                "new tokens": args.clients * args.new,
            }
        )
    return rows


def run(side: str, model: Path, folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    port, n = servers.free_port(), str(args.clients)
    if side == "oxillama":
        command = [*servers.ours(model, port, folder, threads=args.threads, ctx=args.ctx), "--parallel", n]
    else:
        ctx = args.clients * args.ctx
        command = [*servers.peers(model, port, threads=args.threads, ctx=ctx), "-np", n, "--metrics"]
    with servers.running(command, port, folder / "log"):
        return measure(side, port, args)


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    rows: list[dict[str, Any]] = []
    for side in ["oxillama"] if args.no_peer else ["oxillama", "llama-server"]:
        with tempfile.TemporaryDirectory() as folder:
            rows += run(side, model, Path(folder), args)
    facts = {"clients": args.clients, "common_words": args.words, "threads": args.threads}
    report.emit(args, rows, model=f"{args.shape} {args.type}", **facts)


if __name__ == "__main__":
    main()
