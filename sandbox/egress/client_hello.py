"""The server name in a TLS ClientHello, read before OpenSSL sees a byte (RFC 8446, RFC 6066).

Python's callback for the name gets it too late and decoded; what is recorded and judged here is
what the client sent.
"""

from __future__ import annotations

from dataclasses import dataclass

HELLO_LIMIT = 32 * 1024
"""Bytes of a ClientHello with its record headers; real ones have 2 KiB at most."""
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0


class NotTls(ValueError):
    """The client does not begin as TLS does."""


@dataclass(frozen=True)
class Hello:
    """What is needed of a ClientHello."""

    server_name: str | None
    """As sent, each byte one character; None where the client names no server."""


class _Reader:
    """Takes lengths and fields off bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise NotTls("a ClientHello that is shorter than it says")
        self._at += count
        return taken

    def number(self, size: int) -> int:
        """Return the next number of a size in bytes."""
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> bytes:
        """Return the next field, whose length stands before it in so many bytes."""
        return self.take(self.number(size))

    @property
    def more(self) -> bool:
        """True where something is left."""
        return self._at < len(self._data)


def parse(data: bytes) -> Hello | None:
    """Return what a connection begins with, or None where more bytes are needed.

    Raises:
        NotTls: This is no ClientHello, or one that names its server in no sound way.
    """
    message = _message(data)
    if message is None:
        return None
    reader = _Reader(message)
    reader.take(2 + 32)  # version, random
    for size in (1, 2, 1):  # session, cipher suites, compression
        reader.field(size)
    extensions = _Reader(reader.field(2) if reader.more else b"")
    names: list[str] = []
    while extensions.more:
        kind, content = extensions.number(2), extensions.field(2)
        if kind == _SERVER_NAME:
            names += _names(content)
    if len(names) > 1:
        raise NotTls("more than one server name")
    return Hello(names[0] if names else None)


def _message(data: bytes) -> bytes | None:
    """Return the ClientHello put together from its records, or None where it is not complete."""
    found = bytearray()
    at = 0
    while True:
        header = data[at : at + 5]
        if header[:1] and (header[0] != _HANDSHAKE or header[1:2] not in (b"", b"\3")):
            raise NotTls("not TLS")
        if len(header) < 5:
            break
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= 1 << 14:
            raise NotTls("not TLS")
        found += data[at + 5 : at + 5 + size]
        if found and found[0] != _CLIENT_HELLO:
            raise NotTls("no ClientHello")
        if len(found) >= 4 and len(found) - 4 >= (whole := int.from_bytes(found[1:4], "big")):
            return bytes(found[4 : 4 + whole])
        at += 5 + size
        if at >= len(data):
            break
    if len(data) > HELLO_LIMIT:
        raise NotTls("an over-long ClientHello")
    return None


def _names(content: bytes) -> list[str]:
    entries = _Reader(_Reader(content).field(2) if content else b"")
    found = []
    while entries.more:
        kind, name = entries.number(1), entries.field(2)
        if kind != _HOST_NAME:
            raise NotTls("a server name of an unknown kind")
        found.append(name.decode("latin-1"))
    return found
