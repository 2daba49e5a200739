"""The relay: bytes between real clients and the engine's end, bounded in both directions."""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from sandbox.egress.gateway import Allowance, Egress
from sandbox.guest import relay
from sandbox.guest.loop import PollLoop
from sandbox.guest.messages import NetworkMessage
from sandbox.guest.relay import Listeners, Relay
from tests.support.egress_client import HOSTS, query

GET = b"GET / HTTP/1.1\r\nHost: paste.example\r\n\r\n"


class Loop:
    """A poll loop as the guest has one."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[int, int], None]] = {}

    def watch(self, fd: int, events: int, handler: Callable[[int, int], None]) -> None:
        """Have a handler called."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Watch it no more."""
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def turn(self, seconds: float = 0.0) -> int:
        """Serve what is ready; return how much it was."""
        ready = self._poll.poll(seconds * 1000)
        for fd, events in ready:
            if fd in self._handlers:
                self._handlers[fd](fd, events)
        return len(ready)


def _doors() -> tuple[int, Listeners]:
    """Return listening sockets on ports that need no right, and how far those are shifted."""
    for _ in range(50):
        shift = random.SystemRandom().randrange(
            2000, 28_000
        )  # below what the kernel gives to clients
        with contextlib.suppress(OSError):
            return shift, Listeners(shift)
    raise AssertionError("no ports are free")


class Container:
    """A relay and the engine's end of it, in turns; the engine may be kept from answering."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        self.egress = Egress(HOSTS, allowance)
        self.loop = Loop()
        self.said: list[dict[str, Any]] = []
        self.heard: list[dict[str, Any]] = []
        self.listening = True
        self.shift, doors = _doors()
        self.relay = Relay(doors, cast("PollLoop", self.loop), self._emit)
        self.clients: list[socket.socket] = []

    def _emit(self, params: NetworkMessage) -> None:
        self.said.append(json.loads(json.dumps(params)))

    def turn(self, until: Callable[[], bool], seconds: float = 5.0) -> None:
        """Go on until a condition holds."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                pytest.fail("it does not come to that")
            self.loop.turn(0.01)
            while self.said and self.listening:
                params = self.said.pop(0)
                self.heard.append(params)
                for answer in self.egress.take(params):
                    self.relay.take(answer)

    def rest(self) -> None:
        """Go on until nothing happens any more."""
        while self.loop.turn(0.05):
            self.turn(lambda: True)
            while self.said and self.listening:
                for answer in self.egress.take(self.said.pop(0)):
                    self.relay.take(answer)

    def client(self, port: int = 80, buffer: int = 0) -> socket.socket:
        """Connect a client."""
        made = socket.socket()
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.setblocking(False)
        made.connect_ex(("127.0.0.1", port + self.shift))
        self.clients.append(made)
        return made

    def received(self, client: socket.socket, until: Callable[[bytes], bool]) -> bytes:
        """Return what a client got, once it is enough or the connection has ended."""
        got = bytearray()
        over = [False]

        def enough() -> bool:
            with contextlib.suppress(BlockingIOError):
                data = client.recv(1 << 20)
                got.extend(data)
                over[0] = not data
            return over[0] or until(bytes(got))

        self.turn(enough, 20.0)
        return bytes(got)

    def close(self) -> None:
        """Close all sockets."""
        for client in self.clients:
            client.close()
        self.relay.take({"event": "stop", "stream": 0})


@pytest.fixture
def container() -> Iterator[Container]:
    """A relay on ports that need no right."""
    made = Container()
    yield made
    made.close()


def test_a_client_gets_its_answer(container: Container) -> None:
    """Bytes go to the engine and come back; the end of the connection too."""
    client = container.client()
    client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    got = container.received(client, lambda data: False)
    assert got.endswith(b'{"id": "p-1"}')


def test_a_large_answer_comes_whole_to_a_slow_client(container: Container) -> None:
    """Small buffers, many turns, nothing lost."""
    client = container.client(buffer=4096)
    client.send(b"GET /big HTTP/1.1\r\nHost: a.cdn.example\r\n\r\n")
    got = container.received(client, lambda data: len(data) > 600_000)
    assert got.partition(b"\r\n\r\n")[2] == b"x" * 600_000


def test_a_question_is_answered_by_udp(container: Container) -> None:
    """Each message for itself, to the client that asked."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(("127.0.0.1", 53 + container.shift))
        client.send(query("paste.example"))
        assert b"\x7f\0\0\1" in container.received(client, bool)


def test_a_client_that_never_reads_does_not_make_the_guest_grow(container: Container) -> None:
    """What waits for it in the guest is a window, however much it asks for."""
    client = container.client(buffer=4096)
    asked = b"GET /big HTTP/1.1\r\nHost: a.cdn.example\r\n\r\n" * 2000
    sent = 0
    for _ in range(40):
        with contextlib.suppress(BlockingIOError):
            sent += client.send(asked[sent : sent + 65536])
        container.rest()
    (stream,) = container.relay._streams.values()
    assert len(stream.out) <= relay.WINDOW
    assert stream.unread <= relay.WINDOW
    assert container.loop.turn(0.05) == 0


def test_a_client_that_floods_waits_for_the_engine(container: Container) -> None:
    """While the engine takes nothing, no more than a window of each stream is read."""
    container.listening = False
    clients = [container.client() for _ in range(20)]
    for _ in range(12):
        for client in clients:
            with contextlib.suppress(BlockingIOError):
                client.send(b"x" * 65536)
        container.rest()
    data = [len(params["data"]) * 3 // 4 for params in container.said if params["event"] == "data"]
    assert sum(data) <= relay.WINDOWS + 2 * len(data)
    assert container.loop.turn(0.05) == 0


def test_thousands_of_connections_are_taken_in_turns(container: Container) -> None:
    """The guest holds a bounded number; those who wait are served when others leave."""
    first = [container.client() for _ in range(relay.STREAMS)]
    container.rest()
    more = [container.client() for _ in range(40)]
    container.rest()
    assert len(container.relay._streams) == relay.STREAMS
    for client in first:
        client.close()
    container.rest()
    more[0].send(GET)
    assert container.received(more[0], lambda data: data.endswith(b"}"))


def test_a_client_that_is_reset_leaves_nothing(container: Container) -> None:
    """A connection that is torn down in the middle is closed and told of."""
    client = container.client()
    client.send(b"POST / HTTP/1.1\r\nHost: paste.example\r\nContent-Length: 9\r\n\r\nab")
    container.rest()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    container.turn(lambda: not container.relay._streams)
    container.rest()
    assert container.relay._unread == 0
    assert [e["status"] for e in container.egress.drain()[0]] == ["attempted"]


def test_questions_are_bounded(container: Container) -> None:
    """While none is answered, no more are read than fit."""
    container.listening = False
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 53 + container.shift))
        for _ in range(relay.QUESTIONS * 2):
            client.send(query("evil.example"))
        container.rest()
        assert len(container.said) == relay.QUESTIONS
        container.listening = True
        container.turn(lambda: len(container.heard) == relay.QUESTIONS * 2)


def test_a_spent_network_is_closed() -> None:
    """After the engine's stop nobody listens any more."""
    container = Container(Allowance(requests=1))
    client = container.client()
    client.send(GET)
    container.received(client, lambda data: False)
    container.rest()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 80 + container.shift))
    container.close()


def test_messages_for_clients_that_left_are_dropped(container: Container) -> None:
    """The engine may answer somebody who has gone in the meantime."""
    for event in ("data", "end", "taken", "dns"):
        container.relay.take({"event": event, "stream": 99, "data": "", "bytes": 1})
    assert container.said == []
