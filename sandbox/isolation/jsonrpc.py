"""Requests to a guest and its answers, one at a time; and what it says of the network, at any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from sandbox.errors import IsolationError
from sandbox.isolation.base import NetworkWorld

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message from a guest; a longer one breaks the container."""
NETWORK_LIMIT = 1024 * 1024 * 1024
"""Bytes of all messages about the network. A sound guest stays far below: the network ends before."""
NETWORK = "sandbox/network"

_CUT_OFF = "an earlier request to the guest was cut off"


class Wire(Protocol):
    """Bytes to and from a guest."""

    async def read_line(self) -> bytes:
        """Return the next line with its end, or an empty value at the end of the stream."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def post(self, data: bytes) -> None:
        """Send bytes without waiting for them to leave; the sender sees to it that they are few."""
        ...


class Exchange:
    """One guest's end of the talk. Once it is broken, nothing more is asked."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._next = 0
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[dict[str, Any]] | None = None
        self._network: NetworkWorld | None = None
        self._network_bytes = 0
        self._reader: asyncio.Task[None] | None = None
        self.broken: str | None = None
        """Why the guest cannot be asked any more, if it cannot."""

    async def line(self) -> bytes:
        """Return a line, before :meth:`listen`."""
        return await self._wire.read_line()

    async def write(self, data: bytes) -> None:
        """Send bytes, before :meth:`listen`."""
        await self._wire.write(data)

    def listen(self, network: NetworkWorld | None) -> None:
        """Read whatever the guest says from now on.

        Args:
            network: Who answers what it says of the network; without one, it may say nothing.
        """
        self._network = network
        self._reader = asyncio.create_task(self._read())

    def close(self) -> None:
        """Read no more."""
        if self._reader:
            self._reader.cancel()

    async def request(self, method: str, params: Any) -> dict[str, Any]:
        """Return the result of a method.

        Raises:
            IsolationError: The guest refused, or the talk is broken.
        """
        async with self._lock:
            if self.broken:
                raise IsolationError(self.broken)
            self._next += 1
            request = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
            self.broken = _CUT_OFF  # until the reader has its answer
            self._answer = asyncio.get_running_loop().create_future()
            try:
                await self._wire.write(_ENCODER.encode(request).encode() + b"\n")
            except (OSError, EOFError, ValueError) as error:
                self._answer = None
                self._break(f"the channel to the guest broke: {error}")
            reply = await self._answer
        if isinstance(refused := reply.get("error"), dict):
            raise IsolationError(f"the guest refused {method}: {refused.get('message')}")
        if not isinstance(result := reply.get("result"), dict):
            self._break("the guest sent an answer without a result")
        return result

    def parsed(self, line: bytes) -> dict[str, Any]:
        """Return a message of the guest.

        Raises:
            IsolationError: It is none; the talk is broken.
        """
        if not line.endswith(b"\n"):
            self._break("the container ended: its guest is gone")
        try:
            message = _DECODER.decode(line.decode())
        except (ValueError, RecursionError):
            self._break("the guest sent what is no message")
        if not isinstance(message, dict):
            self._break("the guest sent what is no message")
        return message

    async def _read(self) -> None:
        try:
            while True:
                line = await self._wire.read_line()
                message = self.parsed(line)
                if "method" in message:
                    self._noted(message, len(line))
                else:
                    self._answered(message)
        except IsolationError as error:
            self._fail(str(error))
        except (OSError, EOFError, ValueError) as error:
            self._fail(f"the channel to the guest broke: {error}")

    def _answered(self, message: dict[str, Any]) -> None:
        if self._answer is None or message.get("id") not in (self._next, None):
            self._break("the guest answered a call that was not asked")
        answer, self._answer = self._answer, None
        if not answer.done():  # else nobody waits any more: it stays cut off
            self.broken = None
            answer.set_result(message)

    def _noted(self, message: Mapping[str, Any], size: int) -> None:
        """Have what the guest says of the network answered, also while a call is under way."""
        if self._network is None or message["method"] != NETWORK or "id" in message:
            self._break("the guest sent a message that it may not send")
        self._network_bytes += size
        if self._network_bytes > NETWORK_LIMIT:
            self._break("the guest says more of the network than any sound one")
        if not isinstance(params := message.get("params"), dict):
            self._break("the guest sent what is no message")
        for answer in self._network.take(params):
            note = {"jsonrpc": "2.0", "method": NETWORK, "params": answer}
            self._wire.post(_ENCODER.encode(note).encode() + b"\n")

    def _fail(self, reason: str) -> None:
        if self.broken in (None, _CUT_OFF):
            self.broken = reason
        if self._answer and not self._answer.done():
            self._answer.set_exception(IsolationError(reason))
        self._answer = None

    def _break(self, reason: str) -> NoReturn:
        self.broken = reason
        raise IsolationError(reason)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# made once: ``json.dumps`` and ``json.loads`` make theirs anew where an option is given
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse)
