"""A wire over one socket: bubblewrap's guest speaks it plain, Docker wraps output in frames."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Self

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message from a guest; a longer one breaks the container."""


class SocketWire:
    """Lines over a socket that asyncio can watch."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Return a wire over a connected socket, which it owns from then on."""
        return cls(*await asyncio.open_connection(sock=sock, limit=LINE_LIMIT))

    async def read_line(self) -> bytes:
        """Return the next line, or an empty value at the end."""
        return await self._reader.readline()

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    def post(self, data: bytes) -> None:
        """Send bytes without waiting for them to leave; there are few of them."""
        self._writer.write(data)

    def close(self) -> None:
        """Close the socket; the guest ends when it sees that."""
        self._writer.close()


class FramedWire(SocketWire):
    """Lines over Docker's attach stream: frames of stdout and stderr with a header of 8 bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._lines = bytearray()
        self.errors = bytearray()
        """What came on stderr before the guest closed it: why it could not start."""

    async def read_line(self) -> bytes:
        """Return the next line of stdout, or what is left of it at the end."""
        start = 0
        while (end := self._lines.find(b"\n", start)) < 0:
            start = len(self._lines)
            if start > LINE_LIMIT:
                raise ValueError("a message is too long")
            try:
                kind, size = struct.unpack(">BxxxL", await self._reader.readexactly(8))
                data = await self._reader.readexactly(size)
            except asyncio.IncompleteReadError:
                end = len(self._lines) - 1
                break
            if kind == 1:
                self._lines += data
            else:
                self.errors += data[: 4096 - len(self.errors)]
        line = bytes(self._lines[: end + 1])
        del self._lines[: end + 1]
        return line
