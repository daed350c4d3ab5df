"""What do threads and messages cost, stored so that they survive a power cut?

    python benchmarks/store.py                            # a million threads are made first: minutes, and 1 GB
    python benchmarks/store.py --threads 10000 --no-http

"start" opens a data directory in a process of its own, as a server does, and looks up a hundred threads; "resident" is
the memory that this took. "append" adds messages from 32 threads to threads of their own; "page" reads the newest 20
messages of a thread of 100,000. "HTTP" posts messages to `oxillama serve` on 32 connections that stay open.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import report
import trio

from oxillama.assistants.records import Thread, ThreadMessage
from oxillama.assistants.store.layout import Layout
from oxillama.assistants.store.store import Store
from oxillama.storage.collection import Cut
from oxillama.storage.data_dir import open_data_dir
from oxillama.storage.ids import new_id

LONG = 100_000  # messages
TEXT = "a message of usual length, " * 10
AT_ONCE = 10_000  # threads in one change
WRITERS = 32


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1_000_000, help="that are stored (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default %(default)s)")
    parser.add_argument("--no-http", action="store_true", help="leave the server out")
    parser.add_argument("--folder", type=Path, help="where to store (default: a temporary one)")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    report.add_options(parser)
    return parser.parse_args()


def in_data_dir(folder: Path, work: Callable[[Store, Any], Any]) -> Any:
    """The result of `work(store, database)`, called in a thread."""

    async def run() -> Any:
        async with open_data_dir(folder) as data:
            store = await data.in_thread(Store, data.database)
            return await data.in_thread(work, store, data.database)

    return trio.run(run)


def message(n: int = 0) -> ThreadMessage:
    return ThreadMessage.new_user(new_id("msg"), TEXT, 1_700_000_000 + n)


def make(count: int, store: Store, database: Any) -> list[str]:
    """Idle threads, of which each hundredth has a message; returns the ids of some that do."""
    threads, some = Layout(database).threads, []
    for first in range(0, count, AT_ONCE):
        made = [Thread(id=new_id("thread"), created_at=1_700_000_000) for _ in range(min(AT_ONCE, count - first))]
        with database.change():
            threads.put_all(made)
            for thread in made[::100]:
                store.messages.append(thread.id, message())
        some += [thread.id for thread in made[::100]]
    return some


def resident() -> int:
    """Bytes of this process's memory that are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def started(folder: Path, ids: list[str]) -> dict[str, float]:
    """A start in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--start", folder], input=json.dumps(ids), capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def start(folder: Path) -> None:
    ids = json.load(sys.stdin)
    before, begin = resident(), time.perf_counter()

    def work(store: Store, database: Any) -> None:
        store.recover()
        seconds = time.perf_counter() - begin
        for thread_id in ids:
            store.threads.get(thread_id)
            store.messages.page(thread_id, Cut(20))
        print(json.dumps({"seconds": seconds, "resident": resident() - before}))

    in_data_dir(folder, work)


def appended(seconds: float, store: Store, database: Any) -> tuple[float, list[float]]:
    """Messages a second, and how long each took."""
    threads = [Thread(id=new_id("thread"), created_at=1_700_000_000) for _ in range(WRITERS)]
    for thread in threads:
        store.threads.create(thread)
    end = time.perf_counter() + seconds
    took: list[float] = []

    def write(thread_id: str) -> None:
        while (begin := time.perf_counter()) < end:
            store.messages.append(thread_id, message())
            took.append(time.perf_counter() - begin)

    writers = [threading.Thread(target=write, args=(thread.id,)) for thread in threads]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return len(took) / seconds, took


def long_thread(store: Store, database: Any) -> str:
    thread = Thread(id=new_id("thread"), created_at=1_700_000_000)
    store.threads.create(thread, [message(n) for n in range(LONG)])
    return thread.id


def paged(thread_id: str, store: Store, database: Any) -> list[float]:
    """Seconds of each look at the newest page; the first one is the process's first."""
    took = []
    for _ in range(100):
        begin = time.perf_counter()
        assert len(store.messages.page(thread_id, Cut(20))[0]) == 20
        took.append(time.perf_counter() - begin)
    return took


async def post(stream: trio.SocketStream, path: str, body: Any) -> dict[str, Any]:
    data = json.dumps(body).encode()
    head = f"POST /v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    await stream.send_all(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += await stream.receive_some(65536)
    fields, _, content = answer.partition(b"\r\n\r\n")
    if not fields.startswith(b"HTTP/1.1 200"):
        raise SystemExit(answer.decode())
    lengths = [line for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    size = int(lengths[0].partition(b":")[2])
    while len(content) < size:
        content += await stream.receive_some(65536)
    result: dict[str, Any] = json.loads(content)
    return result


async def posted(port: int, seconds: float) -> tuple[float, list[float]]:
    """Messages a second over HTTP, and how long each took."""
    took: list[float] = []
    end = trio.current_time() + seconds

    async def client() -> None:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            thread = (await post(stream, "/threads", {}))["id"]
            while (begin := trio.current_time()) < end:
                await post(stream, f"/threads/{thread}/messages", {"role": "user", "content": TEXT})
                took.append(trio.current_time() - begin)

    async with trio.open_nursery() as nursery:
        for _ in range(WRITERS):
            nursery.start_soon(client)
    return len(took) / seconds, took


def over_http(folder: Path, seconds: float) -> tuple[float, list[float]]:
    command = [sys.executable, "-m", "oxillama", "serve", "--port", "0", "--data-dir", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "http://127.0.0.1:" in line)
            threading.Thread(target=server.stdout.read, daemon=True).start()
            port = int(line.partition("http://127.0.0.1:")[2].split("/")[0].split('"')[0].split()[0])
            return trio.run(posted, port, seconds)
        finally:
            server.terminate()


def p99(took: list[float]) -> float:
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]


def main() -> None:
    args = arguments()
    if args.start is not None:
        start(args.start)
        return
    with tempfile.TemporaryDirectory(prefix="oxillama-store-", dir=args.folder) as name:
        small, large = Path(name) / "small", Path(name) / "large"
        few = in_data_dir(small, partial(make, 1000))
        begin = time.perf_counter()
        many = in_data_dir(large, partial(make, args.threads))
        seconds = time.perf_counter() - begin
        size = (large / "store.db").stat().st_size
        print(f"{args.threads:,} threads made in {seconds:.0f} s, {size / 2**20:,.0f} MiB")
        one, other = started(small, few * 10), started(large, many[:100])
        print(f"start: 1,000 threads {one['seconds'] * 1e3:.0f} ms, {args.threads:,} {other['seconds'] * 1e3:.0f} ms")
        growth = (other["resident"] - one["resident"]) / 2**20
        print(f"resident: {one['resident'] / 2**20:.1f} MiB, {other['resident'] / 2**20:.1f} MiB ({growth:+.1f})")
        thread = in_data_dir(large, long_thread)
        pages = in_data_dir(large, partial(paged, thread))
        print(f"page: first {pages[0] * 1e3:.2f} ms, median {statistics.median(pages) * 1e3:.2f} ms")
        rate, took = in_data_dir(large, partial(appended, args.seconds))
        print(f"append: {rate:,.0f} a second, p99 {p99(took) * 1e3:.1f} ms")
        if not args.no_http:
            rate, took = over_http(large, args.seconds)
            print(f"HTTP: {rate:,.0f} a second, p99 {p99(took) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
