"""The faults of the HTTP library that the server works around, each tested over a raw socket."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
import trio

from tests.support.fake_engine import FakeEngine
from tests.support.live_server import PATIENCE, Live, chat, get, live_server, post


async def eventually(condition: Any) -> None:
    """Wait until `condition()` is true; fails after PATIENCE seconds."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.01)


async def unread(live: Live, data: bytes) -> trio.SocketStream:
    """A client with a small window that sends `data` and never reads."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(("127.0.0.1", live.port))
    stream = trio.SocketStream(sock)
    await stream.send_all(data)
    return stream


LONG = {"stream": True, "ignore_eos": True, "logprobs": True, "top_logprobs": 20}


def endless() -> FakeEngine:
    """An engine whose streams are larger than all buffers of a connection."""
    return FakeEngine(reply="x" * 1000, n_ctx=1_000_000)


# 1. Connection: close


@pytest.mark.parametrize("request_", [get("/health", "Connection: close"), get("/none", "Connection: close")])
async def test_connection_close_is_honoured(request_: bytes) -> None:
    async with live_server() as live, await live.connect() as client:
        await client.send(request_)
        assert (await client.answer()).headers["connection"] == "close"
        assert await client.is_closed()


async def test_connection_close_is_honoured_after_a_stream() -> None:
    async with live_server() as live, await live.connect() as client:
        await client.send(chat(stream=True).replace(b"Host:", b"Connection: close\r\nHost:"))
        assert (await client.answer()).body.endswith(b"data: [DONE]\n\n")
        assert await client.is_closed()


@pytest.mark.parametrize("extra", [b"\r\n", get("/v1/models")])
async def test_bytes_after_the_last_request_do_not_cut_off_its_answer(extra: bytes) -> None:
    async with live_server(FakeEngine(reply="word " * 20, delay_s=0.001)) as live, await live.connect() as client:
        await client.send(chat(stream=True).replace(b"Host:", b"Connection: close\r\nHost:"))
        head = await client.head()
        await client.until(b'"content":"w"')
        await client.send(extra)
        assert head.status == 200
        await client.until(b"data: [DONE]\n\n")
        await client.until(b"0\r\n\r\n")
        assert await client.is_closed()


async def test_without_it_the_connection_is_kept_for_the_next_request() -> None:
    async with live_server() as live, await live.connect() as client:
        for _ in range(3):
            await client.send(chat())
            assert (await client.answer()).status == 200
            await client.send(chat(stream=True))
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_http_1_0_is_answered_to_its_end_and_closed(stream: bool) -> None:
    async with live_server() as live, await live.connect() as client:
        await client.send(chat(stream=stream).replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = await client.head()
        assert (answer.status, answer.headers.get("transfer-encoding")) == (200, None)
        await client.until(b"data: [DONE]\n\n" if stream else b'"finish_reason":"stop"')
        with trio.fail_after(PATIENCE):
            while await client.stream.receive_some():
                pass


# 2. Content-Length with Transfer-Encoding


async def test_two_lengths_are_refused_and_the_rest_is_not_served() -> None:
    hidden = get("/v1/models")
    smuggling = (
        b"POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
    )
    async with live_server() as live, await live.connect() as client:
        await client.send(smuggling)
        answer = await client.answer()
        assert answer.status == 400
        answer.error()
        assert await client.is_closed()


# 3. HTTP/2, and bytes that are not HTTP


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(10_000)) + b"\r\n", 431),
    ],
)  # fmt: skip
async def test_requests_that_are_not_http_1_are_refused_in_the_envelope_and_closed(data: bytes, status: int) -> None:
    async with live_server() as live:
        async with await live.connect() as client:
            await client.send(data)
            answer = await client.answer()
            assert answer.status == status
            assert answer.error()["message"]
            assert await client.is_closed()
        assert await live.is_healthy()


@pytest.mark.parametrize(
    "target", [b"*", b"?x", b"http://[/", b"http://a/health", b"//", b"/%", b"/%00", b"/%ff%fe", b"/v1/models/%2e%2e/x"]
)
async def test_odd_request_targets_are_answered(target: bytes) -> None:
    async with live_server(ui=False) as live:
        answer = await live.ask(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.status in (200, 404)
        assert answer.headers["content-type"] == "application/json"


async def test_an_upgrade_to_http_2_or_a_websocket_does_not_bypass_the_rules() -> None:
    async with live_server(api_keys=["key"]) as live:
        upgrade = get(
            "/v1/models", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
        )
        assert (await live.ask(upgrade)).status == 401
        handshake = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: " + "A" * 22 + "==",
        ]
        assert (await live.ask(get("/v1/models", *handshake))).status == 401
        assert await live.is_healthy()


# 4. Pipelining


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with live_server() as live, await live.connect() as client:
        await client.send(get("/health") + chat() + get("/none"))
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 404]


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_after_pipelining_is_noticed(reset: bool) -> None:
    engine = FakeEngine(hang_in_prefill=True)
    async with live_server(engine) as live:
        client = await live.connect()
        await client.send(chat() + get("/health"))
        await eventually(lambda: engine.active == 1)
        if reset:
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await trio.aclose_forcefully(client.stream)
        await eventually(lambda: engine.open == 0)


async def test_a_client_that_closes_its_side_is_dropped_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    async with live_server() as live:
        for _ in range(20):  # the hang-up is to be noticed in the middle of an answer
            async with await live.connect() as client:
                await client.send(get("/v1/models") * 5)
                await client.stream.send_eof()
                await client.is_closed()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("hang", [False, True])
async def test_a_client_that_leaves_ends_only_its_own_generation(stream: bool, hang: bool) -> None:
    engine = FakeEngine(reply="x" * 100_000, delay_s=0.01, hang_in_prefill=hang)
    async with live_server(engine) as live, await live.connect() as staying:
        await staying.send(chat(stream=True))
        await eventually(lambda: engine.active == 1)
        for _ in range(5):
            async with await live.connect() as leaving:
                await leaving.send(chat(stream=stream))
                await eventually(lambda: engine.active == 2)
            await eventually(lambda: engine.open == 1)
        assert (await staying.head()).status == 200


# 5. Clients that never read


async def test_a_client_that_never_reads_is_dropped_by_the_write_deadline() -> None:
    engine = endless()
    async with live_server(engine, write_timeout=0.3) as live:
        held = [await unread(live, chat(**LONG)) for _ in range(3)]
        await eventually(lambda: engine.active == 3)
        await eventually(lambda: engine.open == 0)
        assert await live.is_healthy()
        for stream in held:
            await trio.aclose_forcefully(stream)


async def test_a_client_that_never_reads_its_pipelined_responses_is_dropped_quietly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with live_server(write_timeout=0.3) as live:
        held = [await unread(live, b"") for _ in range(3)]
        async with trio.open_nursery() as nursery:
            for stream in held:
                nursery.start_soon(_pipeline, stream)
        assert await live.is_healthy()
        for stream in held:
            await trio.aclose_forcefully(stream)
    assert "connection failed" not in capsys.readouterr().err


async def _pipeline(stream: trio.SocketStream) -> None:
    """Send requests and read nothing until the server gives up."""
    with trio.fail_after(PATIENCE):
        try:
            while True:
                await stream.send_all(get("/v1/models") * 100)
        except trio.BrokenResourceError:
            pass


async def test_a_client_that_never_reads_does_not_delay_the_shutdown() -> None:
    engine = endless()
    async with live_server(engine, write_timeout=60, drain_timeout=0.2) as live:
        held = [await unread(live, chat(**LONG)) for _ in range(3)]
        await eventually(lambda: engine.active == 3)
        live.stop.set()
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()
        for stream in held:
            await trio.aclose_forcefully(stream)


# 6. Long streams


async def test_a_stream_is_not_cut_after_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    from oxillama.server import ServerConfig, create_app
    from tests.support.answers import events
    from tests.support.asgi_client import ASGIClient

    engine = FakeEngine(reply="x" * 100, delay_s=10)
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}], "stream": True}
    app = create_app(ServerConfig(log_level="error"), engine=engine)
    found = events(await ASGIClient(app).post("/v1/chat/completions", json=body))
    assert trio.current_time() > 900
    assert found[-1] == "[DONE]"


# 7. Slow and oversized requests


@pytest.mark.parametrize("start", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: a\r\n"])
async def test_headers_that_never_end_are_dropped(start: bytes) -> None:
    async with live_server(keep_alive_timeout=0.3) as live, await live.connect() as client:
        if start:
            await client.send(start)
        assert await client.is_closed()


@pytest.mark.parametrize("length", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
async def test_a_body_that_never_ends_is_408_and_closed(length: bytes) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    async with live_server(body_timeout=0.3) as live, await live.connect() as client:
        await client.send(head + length)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        answer.error()
        assert await client.is_closed()


async def test_a_body_beyond_the_limit_is_413_with_a_length_or_in_chunks() -> None:
    body = b" " * 3_000_000
    async with live_server(max_body=1_000_000) as live:
        answer = await live.ask(post("/v1/completions", body))
        assert answer.status == 413
        answer.error()
        head = b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with await live.connect() as client:
            await client.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
            assert (await client.answer()).status == 413
        assert await live.is_healthy()


@pytest.mark.parametrize("path", ["/none", "/v1/models", "/v1/completions"])
async def test_the_answer_to_a_request_whose_body_is_not_read_still_arrives(path: str) -> None:
    async with live_server(api_keys=["key"], max_body=10_000) as live:
        answer = await live.ask(post(path, b"x" * 2_000_000))
        assert answer.status == 401
        answer.error()


async def test_a_full_queue_refuses_before_the_body_has_arrived() -> None:
    engine = FakeEngine()
    engine.max_waiting = 0
    engine.active = engine.open = engine.n_slots
    async with live_server(engine) as live:
        whole = post("/v1/completions", b"x" * 1_000_000)
        answer = await live.ask(whole[: whole.index(b"\r\n\r\n") + 100])
        assert answer.status == 429
        answer.error()
        assert await live.is_healthy()


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async with live_server() as live, await live.connect() as client:
        head, _, body = chat().partition(b"\r\n\r\n")
        await client.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.head()).status == 100
        await client.send(body)
        assert (await client.answer()).status == 200


# Shutdown


async def test_the_drain_finishes_requests_in_progress_and_accepts_no_new_ones() -> None:
    engine = FakeEngine(delay_s=0.02)
    async with live_server(engine, drain_timeout=PATIENCE) as live, await live.connect() as client:
        await client.send(chat(stream=True))
        assert (await client.head()).status == 200
        live.stop.set()
        await client.until(b"[DONE]")
        assert await client.until(b"0\r\n\r\n")
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()
        with pytest.raises(OSError, match="all attempts to connect"):
            await live.connect()


async def test_a_request_that_outlasts_the_drain_ends_with_an_error() -> None:
    engine = FakeEngine(reply="x" * 1000, delay_s=0.05)
    async with live_server(engine, drain_timeout=0.2) as live:
        async with await live.connect() as streaming, await live.connect() as waiting:
            await streaming.send(chat(stream=True))
            await waiting.send(chat())
            assert (await streaming.head()).status == 200
            await eventually(lambda: engine.active == 2)
            live.stop.set()
            tail = await streaming.until(b"0\r\n\r\n")
            assert b'data: {"error":' in tail
            assert b"[DONE]" not in tail
            answer = await waiting.answer()
            assert answer.status == 503
            answer.error()
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()


async def test_a_second_signal_ends_the_drain() -> None:
    engine = FakeEngine(hang_in_prefill=True)
    async with live_server(engine, drain_timeout=600) as live, await live.connect() as client:
        await client.send(chat(stream=True))
        await eventually(lambda: engine.active == 1)
        live.stop.set()
        live.hurry.set()
        assert b'data: {"error":' in await client.until(b"0\r\n\r\n")
        with trio.fail_after(PATIENCE):
            await live.stopped.wait()


async def test_a_connection_closed_by_the_client_is_not_reused() -> None:
    async with live_server(keep_alive_timeout=600) as live:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            await live.ask(chat())
        await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
