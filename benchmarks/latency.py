"""How long does a client wait under load? A burst of streamed chats, beside llama-server.

    LLAMA_CPP_BIN=…/bin python benchmarks/latency.py --type Q4_K_M --burst 200

All chats are sent at once. "refused" is the time to the complete 429 or 503, "first token" the time to the first piece
of text of an admitted chat. Meanwhile two more clients send a request every 50 ms, one for /health and one for a chat;
chats that find the queue full count as "refused later". Times begin before the connection is made. The clients run on
the same processors, and their own delays are in the figures of both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import report
import servers
from make_model import DEFAULT_FOLDER, made

PROBE_S = 0.05
WAITS = ("health", "refused", "refused later", "first token", "broken")
TEXT = re.compile(rb'"content": ?"[^"]')


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--burst", type=int, default=200, help="chats sent at once")
    parser.add_argument("--new", type=int, default=16, help="tokens of each answer")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    report.add_options(parser)
    return parser.parse_args()


def probe_health(port: int, stop: threading.Event, times: list[float]) -> None:
    """Record repeatedly how long /health takes; infinity for a missing or wrong response."""
    while not stop.wait(PROBE_S):
        began = time.perf_counter()
        status = servers.health(port)
        times.append(time.perf_counter() - began if status == 200 else float("inf"))


def probe_chat(port: int, stop: threading.Event, times: list[float]) -> None:
    """Record how long a refusal takes once the burst is in. A chat that is admitted is dropped at once."""
    stop.wait(0.7)
    request = chat_request(0, 1)
    while not stop.wait(PROBE_S):
        began = time.perf_counter()
        if servers.status_of(port, request, patience=0.5) in (429, 503):
            times.append(time.perf_counter() - began)


def chat_request(number: int, new: int) -> bytes:
    """A streamed chat, ready to send."""
    return servers.post(
        "/v1/chat/completions",
        {
            "model": "m",
            "messages": [{"role": "user", "content": f"Request {number}: tell me a story about a red cat."}],
            "max_tokens": new,
            "stream": True,
            "temperature": 0,
            "ignore_eos": True,
        },
    )


async def chat(port: int, number: int, new: int) -> tuple[str, float]:
    """One streamed chat: ("first token" | "refused" | "broken", seconds)."""
    request = chat_request(number, new)
    began, first, got = time.perf_counter(), None, b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        while piece := await reader.read(65536):
            got += piece
            if first is None and TEXT.search(got):
                first = time.perf_counter() - began
        writer.close()
    except OSError:
        return "broken", float("inf")
    if got.split(b" ", 2)[1:2] in ([b"429"], [b"503"]):
        return "refused", time.perf_counter() - began
    if first is None or b"[DONE]" not in got:
        return "broken", float("inf")
    return "first token", first


async def burst(port: int, args: argparse.Namespace) -> list[tuple[str, float]]:
    return await asyncio.gather(*(chat(port, i, args.new) for i in range(args.burst)))


def measure(port: int, args: argparse.Namespace) -> dict[str, list[float]]:
    """Waiting times in seconds, by event."""
    asyncio.run(chat(port, 0, 2))
    found: dict[str, list[float]] = {what: [] for what in WAITS}
    stop = threading.Event()
    probers = [
        threading.Thread(target=probe_health, args=(port, stop, found["health"])),
        threading.Thread(target=probe_chat, args=(port, stop, found["refused later"])),
    ]
    for prober in probers:
        prober.start()
    try:
        for what, seconds in asyncio.run(burst(port, args)):
            found[what].append(seconds)
    finally:
        stop.set()
        for prober in probers:
            prober.join()
    return found


def run(side: str, model: Path, folder: Path, args: argparse.Namespace) -> dict[str, list[float]]:
    port = servers.free_port()
    if side == "oxillama":
        command = servers.ours(model, port, folder, threads=args.threads, ctx=2048)
    else:
        command = [*servers.peers(model, port, threads=args.threads, ctx=8 * 2048), "-np", "8"]
    with servers.running(command, port, folder / "log"):
        return measure(port, args)


def quantile(times: list[float], share: float) -> float | None:
    """A quantile, in milliseconds."""
    if not times:
        return None
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def main() -> None:
    args = arguments()
    model = made(args.shape, args.type, args.models)
    sides = ["oxillama"] if args.no_peer else ["oxillama", "llama-server"]
    found: dict[str, list[dict[str, list[float]]]] = {side: [] for side in sides}
    for _ in range(args.reps):
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                found[side].append(run(side, model, Path(folder), args))
    rows: list[dict[str, Any]] = []
    for side in sides:
        for what in WAITS:
            times = [t for one in found[side] for t in one[what]]
            rows.append(
                {
                    "server": side,
                    "what": what,
                    "times": len(times),
                    "median ms": quantile(times, 0.5),
                    "p95 ms": quantile(times, 0.95),
                    "p99 ms": quantile(times, 0.99),
                    "longest ms": quantile(times, 1.0),
                }
            )
    report.emit(args, rows, model=f"{args.shape} {args.type}", burst=args.burst, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
