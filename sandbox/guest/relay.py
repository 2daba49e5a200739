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
    from typing import Any, Protocol

    Handler = Callable[[int, int], None]
    Emit = Callable[[dict[str, Any]], None]

    class Loop(Protocol):
        """The poll loop that the relay lives in; each handler gets descriptor and events."""

        def watch(self, fd: int, events: int, handler: Handler) -> None:
            """Ask for events of a descriptor, in place of what was asked for before."""
            ...

        def unwatch(self, fd: int) -> None:
            """Ask for none."""
            ...


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


class Doors:
    """The listening sockets. Opened before the agent can start anything, closed to its children."""

    def __init__(self, shift: int = 0) -> None:
        """Bind and listen.

        Args:
            shift: Added to each port, for places where the low ones cannot be had.
        """
        self.questions = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        self.listeners: dict[int, tuple[Any, int]] = {}
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

    def relay(self, loop: Loop, send: Callable[[dict[str, Any]], None]) -> Relay:
        """Begin to listen.

        Args:
            loop: Calls back when a descriptor is ready.
            send: Sends a message to the engine.
        """

        def emit(params: dict[str, Any]) -> None:
            send({"jsonrpc": "2.0", "method": "sandbox/network", "params": params})

        return Relay(self, loop, emit)

    def close(self) -> None:
        """Listen no more."""
        self.questions.close()
        for listener, _ in self.listeners.values():
            listener.close()


class Stream:
    """One connection of a client."""

    __slots__ = ("closing", "ended", "out", "socket", "unread", "unsaid")

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.out = bytearray()
        """From the engine, not yet written to the client."""
        self.unread = 0
        """Bytes of the client that the engine has not taken."""
        self.unsaid = 0
        """Bytes written to the client since the engine was last told."""
        self.ended = False
        """True where the client sends no more."""
        self.closing = False
        """True where the engine sends no more."""


class Relay:
    """Streams between clients in the container and the engine."""

    def __init__(self, doors: Doors, loop: Loop, emit: Emit) -> None:
        """Begin to listen.

        Args:
            doors: Bound sockets.
            loop: Calls back when a descriptor is ready.
            emit: Sends the parameters of one message to the engine; may wait for the pipe.
        """
        self._doors = doors
        self._loop = loop
        self._emit = emit
        self._streams: dict[int, Stream] = {}
        self._numbers: dict[int, int] = {}
        self._asked: dict[int, Any] = {}
        self._next = 0
        self._unread = 0
        self._full = False
        self._stopped = False
        self._listen()

    def take(self, params: dict[str, Any]) -> None:
        """Act on one message of the engine."""
        event, number = params["event"], params["stream"]
        if event == "stop":
            self._stop()
        elif event == "dns":
            self._answer(number, a2b_base64(params["data"]))
        elif (stream := self._streams.get(number)) is None:
            return  # the client has gone in the meantime
        elif event == "data":
            stream.out += a2b_base64(params["data"])
            self._write(number, stream)
        elif event == "taken":
            self._taken(stream, params["bytes"])
            self._watch(number, stream)
        elif event == "end":
            stream.closing = True
            self._write(number, stream)

    def _listen(self) -> None:
        for fd in self._doors.listeners:
            self._loop.watch(fd, select.POLLIN, self._accept)
        self._loop.watch(self._doors.questions.fileno(), select.POLLIN, self._ask)

    def _accept(self, fd: int, events: int) -> None:
        listener, port = self._doors.listeners[fd]
        try:
            accepted, _ = listener._accept()
        except OSError:  # gone again, or no descriptor is free: it stays in the queue
            return
        client = _socket.socket(fileno=accepted)
        client.setblocking(False)
        self._next += 1
        self._streams[self._next] = stream = Stream(client)
        self._numbers[accepted] = self._next
        self._emit({"stream": self._next, "event": "open", "port": port})
        self._watch(self._next, stream)
        if len(self._streams) >= STREAMS:
            self._full = True
            for other in self._doors.listeners:
                self._loop.unwatch(other)

    def _watch(self, number: int, stream: Stream) -> None:
        """Ask for what the windows allow now."""
        events = select.POLLOUT if stream.out else 0
        if not stream.ended and stream.unread < WINDOW and self._unread < WINDOWS:
            events |= select.POLLIN
        self._loop.watch(stream.socket.fileno(), events, self._ready)

    def _ready(self, fd: int, events: int) -> None:
        number = self._numbers[fd]
        stream = self._streams[number]
        if events & (select.POLLERR | select.POLLNVAL):
            self._close(number, stream)
            return
        if events & select.POLLOUT:
            self._write(number, stream)
        if number in self._streams and events & (select.POLLIN | select.POLLHUP):
            self._read(number, stream)

    def _read(self, number: int, stream: Stream) -> None:
        if stream.ended:  # and the other way is shut as well: nobody is there
            self._close(number, stream)
            return
        room = min(_PIECE, WINDOW - stream.unread, WINDOWS - self._unread)
        if room <= 0:
            self._watch(number, stream)
            return
        try:
            data = stream.socket.recv(room)
        except BlockingIOError:
            return
        except OSError:
            self._close(number, stream)
            return
        if data:
            stream.unread += len(data)
            self._unread += len(data)
            self._emit({"stream": number, "event": "data", "data": _text(data)})
        else:
            stream.ended = True
            self._emit({"stream": number, "event": "end"})
        self._watch(number, stream)

    def _write(self, number: int, stream: Stream) -> None:
        try:
            while stream.out:
                sent = stream.socket.send(stream.out)
                del stream.out[:sent]
                stream.unsaid += sent
        except BlockingIOError:
            pass
        except OSError:
            self._close(number, stream)
            return
        if stream.unsaid >= WINDOW // 4 or (stream.unsaid and not stream.out):
            self._emit({"stream": number, "event": "taken", "bytes": stream.unsaid})
            stream.unsaid = 0
        if stream.closing and not stream.out:
            self._close(number, stream)
        else:
            self._watch(number, stream)

    def _taken(self, stream: Stream, count: int) -> None:
        was = self._unread
        stream.unread -= count
        self._unread -= count
        if was >= WINDOWS > self._unread:
            for number, other in self._streams.items():
                self._watch(number, other)

    def _close(self, number: int, stream: Stream) -> None:
        fd = stream.socket.fileno()
        self._loop.unwatch(fd)
        del self._streams[number], self._numbers[fd]
        stream.socket.close()
        self._taken(stream, stream.unread)
        self._emit({"stream": number, "event": "gone"})
        if self._full and not self._stopped:
            self._full = False
            self._listen()

    def _ask(self, fd: int, events: int) -> None:
        try:
            data, client = self._doors.questions.recvfrom(_QUESTION_LIMIT)
        except OSError:
            return
        self._next += 1
        self._asked[self._next] = client
        if len(self._asked) >= QUESTIONS:
            self._loop.unwatch(fd)
        self._emit({"stream": self._next, "event": "dns", "data": _text(data)})

    def _answer(self, number: int, data: bytes) -> None:
        client = self._asked.pop(number, None)
        if client is None:
            return
        if data:
            self._send(data, client)
        if len(self._asked) == QUESTIONS - 1 and not self._stopped:
            self._loop.watch(self._doors.questions.fileno(), select.POLLIN, self._ask)

    def _send(self, data: bytes, client: Any) -> None:
        try:
            self._doors.questions.sendto(data, client)
        except OSError:  # it does not wait for its answer any more, or it will ask again
            return

    def _stop(self) -> None:
        """Close everything: the run has used up its network."""
        if self._stopped:
            return
        self._stopped = True
        for fd in (*self._doors.listeners, self._doors.questions.fileno()):
            self._loop.unwatch(fd)
        self._doors.close()
        for number, stream in list(self._streams.items()):
            self._close(number, stream)


def trusted(certificate: bytes) -> dict[str, str]:
    """Put a certificate where the agent can read it; return the variables that have programs trust it."""
    handle = os.open(CERTIFICATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        os.write(handle, certificate)
    finally:
        os.close(handle)
    return dict.fromkeys(TRUSTING, CERTIFICATE)


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
