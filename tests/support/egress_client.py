"""A guest in the test's own process: it speaks to the engine's end as the relay does."""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import dns.message

from sandbox.egress.gateway import Allowance, Egress
from sandbox.guest.relay import WINDOW
from sandbox.scenario.network import HostData, HttpResponse

HOSTS: Mapping[str, HostData] = {
    "api.lumen.example": HostData(
        pages={"index.html": b"<h1>Lumen</h1>", "docs/index.html": b"docs", "a.json": b"{}"}
    ),
    "paste.example": HostData(reply=b'{"id": "p-1"}'),
    "intranet.example": HostData(
        routes={
            ("GET", "/users"): HttpResponse(200, "application/json", b"[]"),
            ("POST", "/users"): HttpResponse(201, "text/plain", b"made"),
            ("DELETE", "/users"): HttpResponse(204, "text/plain", b""),
        }
    ),
    "*.cdn.example": HostData(pages={"index.html": b"cdn", "big": b"x" * 600_000}),
}


class Guest:
    """Clients of one run's network."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        self.egress = Egress(HOSTS, allowance)
        self._next = 0

    def open(self, port: int = 80) -> Client:
        """Open a connection."""
        self._next += 1
        return Client(self, self._next, port)

    def http(self, raw: bytes, port: int = 80) -> bytes:
        """Send bytes over a connection of their own, end, and return what came back."""
        client = self.open(port)
        client.send(raw)
        client.end()
        return client.got

    def question(self, message: bytes) -> bytes:
        """Ask by UDP."""
        self._next += 1
        data = b64encode(message).decode()
        (answer,) = self.egress.take({"stream": self._next, "event": "dns", "data": data})
        return b64decode(answer["data"])

    def effects(self) -> list[Any]:
        """Return the effects since the last time."""
        return self.egress.drain()[0]

    def effect(self) -> Any:
        """Return the one effect since the last time."""
        (found,) = self.effects()
        return found

    def refusal(self) -> str:
        """Return why the one thing since the last time was refused."""
        found = self.effect()
        assert found["status"] == "denied"
        return str(found["detail"]["reason"])


class Client:
    """One connection: takes all that comes as soon as it comes, unless told not to."""

    def __init__(self, guest: Guest, number: int, port: int) -> None:
        self._guest = guest
        self._number = number
        self._window = WINDOW
        self.reading = True
        self.got = b""
        self.ended = False
        self.stopped = False
        self._tell("open", port=port)

    def send(self, data: bytes) -> None:
        """Send bytes in pieces, as the window allows."""
        for at in range(0, len(data), 16_000):
            piece = data[at : at + 16_000]
            self._window -= len(piece)
            assert self._window >= 0 or self.ended
            self._tell("data", data=b64encode(piece).decode())

    def end(self) -> None:
        """Send no more."""
        self._tell("end")

    def leave(self) -> None:
        """Close it."""
        self._tell("gone")

    def read(self, count: int) -> None:
        """Take so many of the bytes that came."""
        self._tell("taken", bytes=count)

    def _tell(self, event: str, **more: Any) -> None:
        told = [{"stream": self._number, "event": event, **more}]
        while told:
            for message in self._guest.egress.take(told.pop(0)):
                self.ended |= message["event"] == "end"
                self.stopped |= message["event"] == "stop"
                self._window += message.get("bytes", 0)
                if message["event"] == "data":
                    data = b64decode(message["data"])
                    self.got += data
                    if self.reading:
                        told.append({"stream": self._number, "event": "taken", "bytes": len(data)})


class TlsClient:
    """A client that speaks TLS over a connection, with Python's own TLS."""

    def __init__(self, client: Client, name: str | None, certificate: bytes | None) -> None:
        self._client = client
        context = ssl.create_default_context(cadata=certificate.decode() if certificate else None)
        if name is None:
            context.check_hostname = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)

    def shake(self) -> None:
        """Do the handshake."""
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._move()
                continue
            finally:
                self._move()
            return
        raise AssertionError("the handshake does not end")

    def ask(self, raw: bytes) -> bytes:
        """Send bytes and return what came back."""
        self.tls.write(raw)
        self._move()
        got = b""
        try:
            while data := self.tls.read(65536):
                got += data
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return got

    def _move(self) -> None:
        self._client.send(self._out.read())
        self._in.write(self._client.got)
        self._client.got = b""


def query(name: str, kind: str = "A") -> bytes:
    """Return a DNS question."""
    return dns.message.make_query(name, kind).to_wire()
