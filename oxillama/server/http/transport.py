"""hypercorn's connections, with limits and fixes that it lacks.

hypercorn waits forever for a client that reads nothing, can be cancelled in the middle of closing a socket, answers
malformed HTTP without a body, and lets one connection's failure end the server. `install` replaces its classes with
those below. Nothing else in the process is touched, and an application run by the `hypercorn` command gets them too.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Any

import h11
import hypercorn.protocol
import hypercorn.trio.run
import msgspec
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer

from oxillama.concurrency import split_cancelled
from oxillama.server.http.listen import shorten_accept_failures
from oxillama.server.wire.errors import INVALID_REQUEST, SERVER_ERROR, APIError
from oxillama.server.wire.json import new_request_id

if TYPE_CHECKING:
    from hypercorn.typing import H11SendableEvent

WRITE_TIMEOUT = 20.0  # seconds, if hypercorn's configuration has no `write_timeout`
WRITE_SIZE = 64 * 1024  # the write timeout holds for each piece of this size, not for the whole answer
LINGER = 2.0  # seconds for a client to read the answer while its remaining data is discarded
HANG_UP_INTERVAL = 1.0  # seconds between checks for a hang-up behind unread requests

_HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_MESSAGES = {
    400: "The request is not well-formed HTTP/1.1.",
    413: "The request is too large.",
    414: "The URL is too long.",
    431: "The request line and headers are too large.",
    501: "The Transfer-Encoding is not supported.",
    505: "This server speaks HTTP/1.0 and HTTP/1.1.",
}


def install() -> None:
    """Make hypercorn's trio worker use the classes of this module."""
    vars(hypercorn.trio.run)["TCPServer"] = Connection
    vars(hypercorn.protocol)["H11Protocol"] = Protocol
    shorten_accept_failures()


class Connection(TCPServer):
    """One client's socket. Every write has a deadline, and the socket is always closed."""

    _write: trio.CancelScope | None = None
    _reader: trio.lowlevel.Task | None = None
    _closing = False
    is_abandoned = False
    """Whether the work for the client was cancelled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader_done = trio.Event()
        self._write_timeout: float = getattr(self.config, "write_timeout", WRITE_TIMEOUT)

    async def run(self) -> None:
        """Serve the connection until it ends. Its failures do not affect others."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._cut_writes_when_cancelled)
                await super().run()
                nursery.cancel_scope.cancel()
        except BaseException as error:
            cancelled, failures = split_cancelled(error)
            if failures is not None and not isinstance(failures, Exception):
                raise  # an interrupt is not the connection's own
            if failures is not None:
                await self.config.log.exception("connection failed")
            if cancelled is not None:
                raise cancelled from None

    @property
    def is_gone(self) -> bool:
        """Whether the socket is closed."""
        return bool(self.stream.socket.fileno() == -1)

    def has_hung_up(self) -> bool:
        """Whether the client has closed its side, even behind data that is not yet read."""
        if self.is_gone:
            return True
        poll = select.poll()
        poll.register(self.stream.socket.fileno(), _HUNG_UP)
        return any(happened & _HUNG_UP for _, happened in poll.poll(0))

    def abandon(self) -> None:
        """The client is gone: cancel the work for it."""
        self.is_abandoned = True
        nursery = self._task_group._nursery
        if nursery is not None:
            nursery.cancel_scope.cancel()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated) and self._reader_done.is_set():
            return  # nothing more will come, so there is nothing to wait for
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                for at in range(0, len(event.data), WRITE_SIZE):
                    await self._send(event.data[at : at + WRITE_SIZE])
            except (trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError):
                await self.protocol.handle(Closed())  # busy: the reader is closing it

    async def _send(self, data: bytes) -> None:
        """Send all of `data`, or close the socket: a partial write cannot be continued."""
        # Shielded, so that a cancelled request does not cut off its own write. The server can still cancel it.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + self._write_timeout) as self._write:
            await self.stream.send_all(data)
        if self._write.cancelled_caught:
            self._reset()
            self.abandon()
            raise trio.BrokenResourceError("the client takes no bytes")

    async def _cut_writes_when_cancelled(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            if self._write is not None:
                self._write.cancel()

    def _reset(self) -> None:
        """Close at once and make the system drop unsent bytes, which it would otherwise keep for minutes."""
        self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()

    async def _read_data(self) -> None:
        self._reader = trio.lowlevel.current_task()
        try:
            await super()._read_data()
        finally:
            self._reader_done.set()
        # The timer of an idle connection would keep a closed one open.
        await self.idle_task.stop()

    async def _close(self) -> None:
        if self._closing:
            return
        self._closing = True
        # The socket must be closed even if this task is cancelled.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LINGER):
            try:
                await self.stream.send_eof()
                await self._linger()
            except (trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError, AttributeError):
                pass  # gone already, in the middle of a write, or TLS
        await trio.aclose_forcefully(self.stream)

    async def _linger(self) -> None:
        """Read the rest of a request that has been answered. Closing earlier can lose the answer (RFC 9112, 9.6)."""
        connection = getattr(self.protocol.protocol, "connection", None)
        if connection is None or connection.their_state not in (h11.SEND_BODY, h11.ERROR):
            return
        if trio.lowlevel.current_task() is not self._reader:
            await self._reader_done.wait()
            return
        while await self.stream.receive_some(WRITE_SIZE):
            pass


class Protocol(H11Protocol):
    """HTTP/1 only, with errors in the envelope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = getattr(self.send, "__self__", None)
        self._owner = owner if isinstance(owner, Connection) else None
        if self._owner is not None:
            self.can_read = PausedReading(self._owner)
        self.connection = LastRequestConnection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )

    async def handle(self, event: Event) -> None:
        if isinstance(event, RawData) and self.connection.their_state is h11.MUST_CLOSE:
            return  # data after the last request is not kept
        await super().handle(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """Never upgrade to HTTP/2: no client needs it without TLS, and its flow control can hold up an answer."""

    async def _create_stream(self, request: h11.Request) -> None:
        if request.http_version not in (b"1.0", b"1.1"):
            await self._send_error_response(505)
            await self.send(Closed())
            return
        # Upgrades are not supported: such a request is answered as if it had not asked for one.
        headers = [(name, value) for name, value in request.headers.raw_items() if name.lower() != b"upgrade"]
        version, method, target = request.http_version, request.method, request.target
        await super()._create_stream(h11.Request(http_version=version, method=method, target=target, headers=headers))

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            await super()._send_h11_event(event)
        except h11.LocalProtocolError:
            # An answer that was cut off cannot be completed, and need not be if the client is gone.
            if self._owner is None or not (self._owner.is_gone or self._owner.is_abandoned):
                raise

    async def _send_error_response(self, status_code: int) -> None:
        message = _MESSAGES.get(status_code, _MESSAGES[400])
        error = APIError(status_code, message, type=SERVER_ERROR if status_code >= 500 else INVALID_REQUEST)
        body = msgspec.json.encode(error.envelope())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", new_request_id().encode()),
            (b"x-should-retry", b"false"),
        ]
        response = h11.Response(status_code=status_code, headers=headers + self.config.response_headers("h11"))
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            await self._send_h11_event(event)


class LastRequestConnection(h11.Connection):
    """h11's connection, but data after the last request is ignored (RFC 9112, 9.6).

    h11 reports such data as an error of the client, and hypercorn then cuts off the answer to the last request.
    """

    def next_event(self) -> Any:
        return h11.NEED_DATA if self.their_state is h11.MUST_CLOSE else super().next_event()


class PausedReading:
    """hypercorn's event "read on", for a connection whose client sent a request before the last one was answered.

    Nothing is read in the meantime, so a hang-up would go unnoticed and the generation would continue.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._event = trio.Event()

    async def clear(self) -> None:
        self._event = trio.Event()

    async def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        while not self._event.is_set():
            if self._connection.has_hung_up():
                self._connection.abandon()
                await trio.sleep_forever()
            with trio.move_on_after(HANG_UP_INTERVAL):
                await self._event.wait()


class TransportConfig(Config):
    """hypercorn's configuration with the limit that it lacks."""

    write_timeout: float = WRITE_TIMEOUT


def configuration(*, keep_alive: float, write_timeout: float, grace: float) -> TransportConfig:
    """A configuration that sets what hypercorn leaves open. Times are in seconds."""
    config = TransportConfig()
    config.keep_alive_timeout = keep_alive
    config.graceful_timeout = grace
    config.backlog = 1024
    config.h11_max_incomplete_size = 32 * 1024
    config.include_server_header = False
    config.write_timeout = write_timeout
    return config
