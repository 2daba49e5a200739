"""The server name in a TLS ClientHello, read before OpenSSL sees a byte (RFC 8446, RFC 6066).

Python's callback for the name gets it too late and decoded; what is recorded and judged here is
what the client sent.
"""

from __future__ import annotations

HELLO_LIMIT = 32 * 1024
"""Bytes of a ClientHello with its record headers; real ones have 2 KiB at most."""
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0


class NotTls(ValueError):
    """The client does not begin as TLS does."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        data, self._data = bytes(self._data[:count]), self._data[count:]
        if len(data) < count:
            raise NotTls("a ClientHello that is shorter than it says")
        return data

    def number(self, size: int) -> int:
        """Return the next number of a size in bytes."""
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> bytes:
        """Return the next field, whose length stands before it in so many bytes."""
        return self.take(self.number(size))

    def __bool__(self) -> bool:
        return bool(self._data)


def server_names(data: bytes) -> list[str] | None:
    """Return the server that a connection's first bytes name, each byte one character; None if more are needed.

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
    extensions = _Reader(reader.field(2) if reader else b"")
    names: list[str] = []
    while extensions:
        kind, content = extensions.number(2), extensions.field(2)
        if kind == _SERVER_NAME:
            names += _names(content)
    if len(names) > 1:
        raise NotTls("more than one server name")
    return names


def _message(data: bytes) -> bytes | None:
    """Return the ClientHello put together from its records, or None if it is not complete."""
    message = b""
    at = 0
    while at < len(data):
        header = data[at : at + 5]
        if header[0] != _HANDSHAKE or header[1:2] not in (b"", b"\3"):
            raise NotTls("not TLS")
        if len(header) < 5:
            break
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= 1 << 14:
            raise NotTls("not TLS")
        message += data[at + 5 : at + 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls("no ClientHello")
        if len(message) >= 4 and len(message) - 4 >= (whole := int.from_bytes(message[1:4], "big")):
            return message[4 : 4 + whole]
        at += 5 + size
    if len(data) > HELLO_LIMIT:
        raise NotTls("an over-long ClientHello")
    return None


def _names(content: bytes) -> list[str]:
    entries = _Reader(_Reader(content).field(2) if content else b"")
    names = []
    while entries:
        kind, name = entries.number(1), entries.field(2)
        if kind != _HOST_NAME:
            raise NotTls("a server name of an unknown kind")
        names.append(name.decode("latin-1"))
    return names
