"""The guest's end of the network: listens on the container's loopback and hands bytes to the engine.

It parses nothing and decides nothing. What clients send goes out as messages of the control channel,
what the engine answers comes back in the same way; the agent has no descriptor of either. Both ways
are bounded: each stream by a window of bytes that the other side has not yet taken, all of them by
their number and by a sum. A client that sends without end or never reads stops being served.
"""

from __future__ import annotations

import _socket  # the module above it loads enum and selectors, half of the start-up time
import os
import select
from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.guest.loop import PollLoop
    from sandbox.guest.messages import NetworkMessage

CERTIFICATE_FOLDER = "/run/world"
"""A small tmpfs of the guest's own, which the agent can read."""
CERTIFICATE = f"{CERTIFICATE_FOLDER}/ca.pem"
ADDRESS = "127.0.0.1"
DNS_PORT = 53
STREAM_PORTS = (DNS_PORT, 80, 443, 3128)
STREAMS = 64
"""Connections at once; further ones wait in the kernel's queue, which is bounded too."""
WINDOW = 128 * 1024
"""Bytes of one stream that its receiver has not taken, in each direction."""
WINDOWS = 1024 * 1024
"""The same for all streams together, towards the engine."""
QUESTIONS = 64
"""DNS messages that wait for their answer."""
_PIECE = 16 * 1024
TRUSTING = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
)
_QUESTION_LIMIT = 4096
_BACKLOG = 128


class Listeners:
    """The listening sockets. Opened before the agent can start anything, closed to its children."""

    def __init__(self, shift: int = 0) -> None:
        """Bind and listen.

        Args:
            shift: Added to each port, for places where the low ones cannot be had.
        """
        self.questions = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        self.listeners: dict[int, tuple[_socket.socket, int]] = {}
        try:
            self.questions.bind((ADDRESS, DNS_PORT + shift))
            self.questions.setblocking(False)
            for port in STREAM_PORTS:
                listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
                self.listeners[listener.fileno()] = listener, port
                listener.bind((ADDRESS, port + shift))
                listener.listen(_BACKLOG)
                listener.setblocking(False)
        except OSError:
            self.close()
            raise

    def relay(self, loop: PollLoop, send: Callable[[dict[str, object]], None]) -> Relay:
        """Begin to listen.

        Args:
            loop: Calls back when a descriptor is ready.
            send: Sends a message to the engine.
        """
        note = {"jsonrpc": "2.0", "method": "sandbox/network"}
        return Relay(self, loop, lambda params: send({**note, "params": params}))

    def close(self) -> None:
        """Listen no more."""
        self.questions.close()
        for listener, _ in self.listeners.values():
            listener.close()


class RelayStream:
    """One connection of a client."""

    __slots__ = ("at_end", "closing", "number", "out", "socket", "unacknowledged", "unread")

    def __init__(self, number: int, socket: _socket.socket) -> None:
        self.number = number
        self.socket = socket
        self.out = bytearray()
        """From the engine, not yet written to the client."""
        self.unread = 0
        """Bytes of the client that the engine has not taken."""
        self.unacknowledged = 0
        """Bytes written to the client that the engine does not know of."""
        self.at_end = False
        """Whether the client sends no more."""
        self.closing = False
        """Whether the engine sends no more."""


class Relay:
    """Streams between clients in the container and the engine."""

    def __init__(
        self, listeners: Listeners, loop: PollLoop, emit: Callable[[NetworkMessage], None]
    ) -> None:
        """Begin to listen.

        Args:
            listeners: Bound sockets.
            loop: Calls back when a descriptor is ready.
            emit: Sends the parameters of one message to the engine; may wait for the pipe.
        """
        self._listeners = listeners
        self._loop = loop
        self._emit = emit
        self._streams: dict[int, RelayStream] = {}
        self._by_descriptor: dict[int, RelayStream] = {}
        self._clients: dict[int, object] = {}
        """Question → where its answer goes to."""
        self._number = 0
        self._unread = 0
        self._full = self._over = False
        self._listen()

    def take(self, params: NetworkMessage) -> None:
        """Act on one message of the engine."""
        event, number = params["event"], params["stream"]
        if event == "stop":
            self._stop()
        elif event == "dns":
            self._answer(number, a2b_base64(params["data"]))
        elif stream := self._streams.get(number):  # else the client has gone in the meantime
            if event == "taken":
                self._acknowledge(stream, params["bytes"])
                self._watch(stream)
                return
            if event == "data":
                stream.out += a2b_base64(params["data"])
            elif event == "end":
                stream.closing = True
            self._write(stream)

    def _listen(self) -> None:
        for fd in self._listeners.listeners:
            self._loop.watch(fd, select.POLLIN, self._accept)
        self._loop.watch(self._listeners.questions.fileno(), select.POLLIN, self._ask)

    def _accept(self, fd: int, events: int) -> None:
        listener, port = self._listeners.listeners[fd]
        try:
            descriptor, _ = listener._accept()  # type: ignore[attr-defined]
        except OSError:  # gone again, or no descriptor is free: it stays in the queue
            return
        client = _socket.socket(fileno=descriptor)
        client.setblocking(False)
        self._number += 1
        stream = RelayStream(self._number, client)
        self._streams[stream.number] = self._by_descriptor[descriptor] = stream
        self._emit({"stream": stream.number, "event": "open", "port": port})
        self._watch(stream)
        if len(self._streams) >= STREAMS:
            self._full = True
            for other in self._listeners.listeners:
                self._loop.unwatch(other)

    def _watch(self, stream: RelayStream) -> None:
        """Ask for what the windows allow now."""
        events = select.POLLOUT if stream.out else 0
        if not stream.at_end and stream.unread < WINDOW and self._unread < WINDOWS:
            events |= select.POLLIN
        self._loop.watch(stream.socket.fileno(), events, self._ready)

    def _ready(self, fd: int, events: int) -> None:
        stream = self._by_descriptor[fd]
        if events & (select.POLLERR | select.POLLNVAL):
            self._close(stream)
            return
        if events & select.POLLOUT:
            self._write(stream)
        if stream.number in self._streams and events & (select.POLLIN | select.POLLHUP):
            self._read(stream)

    def _read(self, stream: RelayStream) -> None:
        if stream.at_end:  # and the other way is shut as well: nobody is there
            self._close(stream)
            return
        room = min(_PIECE, WINDOW - stream.unread, WINDOWS - self._unread)
        if room > 0:
            try:
                data = stream.socket.recv(room)
            except BlockingIOError:
                return
            except OSError:
                self._close(stream)
                return
            stream.unread += len(data)
            self._unread += len(data)
            stream.at_end = not data
            if data:
                self._emit({"stream": stream.number, "event": "data", "data": _text(data)})
            else:
                self._emit({"stream": stream.number, "event": "end"})
        self._watch(stream)

    def _write(self, stream: RelayStream) -> None:
        try:
            while stream.out:
                sent = stream.socket.send(stream.out)
                del stream.out[:sent]
                stream.unacknowledged += sent
        except BlockingIOError:
            pass
        except OSError:
            self._close(stream)
            return
        count = stream.unacknowledged
        if count >= WINDOW // 4 or (count and not stream.out):
            self._emit({"stream": stream.number, "event": "taken", "bytes": count})
            stream.unacknowledged = 0
        if stream.closing and not stream.out:
            self._close(stream)
        else:
            self._watch(stream)

    def _acknowledge(self, stream: RelayStream, count: int) -> None:
        before = self._unread
        stream.unread -= count
        self._unread -= count
        if before >= WINDOWS > self._unread:
            for other in self._streams.values():
                self._watch(other)

    def _close(self, stream: RelayStream) -> None:
        fd = stream.socket.fileno()
        self._loop.unwatch(fd)
        del self._streams[stream.number], self._by_descriptor[fd]
        stream.socket.close()
        self._acknowledge(stream, stream.unread)
        self._emit({"stream": stream.number, "event": "gone"})
        if self._full and not self._over:
            self._full = False
            self._listen()

    def _ask(self, fd: int, events: int) -> None:
        try:
            data, client = self._listeners.questions.recvfrom(_QUESTION_LIMIT)
        except OSError:
            return
        self._number += 1
        self._clients[self._number] = client
        if len(self._clients) >= QUESTIONS:
            self._loop.unwatch(fd)
        self._emit({"stream": self._number, "event": "dns", "data": _text(data)})

    def _answer(self, number: int, data: bytes) -> None:
        client = self._clients.pop(number, None)
        if client is None:
            return
        questions = self._listeners.questions
        try:
            if data:
                questions.sendto(data, client)  # type: ignore[call-overload]  # of whatever family
        except OSError:  # it does not wait for its answer any more, or it will ask again
            pass
        if len(self._clients) == QUESTIONS - 1 and not self._over:
            self._loop.watch(questions.fileno(), select.POLLIN, self._ask)

    def _stop(self) -> None:
        """Close everything: the run has used up its network."""
        if self._over:
            return
        self._over = True
        for fd in (*self._listeners.listeners, self._listeners.questions.fileno()):
            self._loop.unwatch(fd)
        self._listeners.close()
        for stream in list(self._streams.values()):
            self._close(stream)


def install_certificate(certificate: bytes) -> dict[str, str]:
    """Put a certificate where the agent can read it; return the variables that have programs trust it."""
    handle = os.open(CERTIFICATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        os.write(handle, certificate)
    finally:
        os.close(handle)
    return dict.fromkeys(TRUSTING, CERTIFICATE)


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
