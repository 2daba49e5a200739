"""Requests to a guest and its answers, one at a time; and what it says of the network, at any time."""

from __future__ import annotations

import asyncio
import json
from typing import NoReturn

from sandbox.errors import InternalError, IsolationError, SandboxError, internal
from sandbox.guest.messages import InvalidMessage
from sandbox.isolation.base import NetworkWorld
from sandbox.isolation.transport import SocketWire

NETWORK_LIMIT = 1024 * 1024 * 1024
"""Bytes of all messages about the network. A sound guest stays far below: the network ends before."""
NETWORK = "sandbox/network"

Message = dict[str, object]


class JsonRpcConnection:
    """The engine's end of the channel to one guest. Once it is broken, nothing more is asked."""

    def __init__(self, wire: SocketWire) -> None:
        self._wire = wire
        self._number = 0
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[Message] | None = None
        self._network: NetworkWorld | None = None
        self._network_bytes = 0
        self._reader: asyncio.Task[None] | None = None
        self._cut_off = IsolationError("an earlier request to the guest was cut off")
        self.broken: SandboxError | None = None
        """Why the guest cannot be asked any more, if it cannot."""

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

    async def request(self, method: str, params: object) -> object:
        """Return the result of a method.

        Raises:
            IsolationError: The guest refused, or the connection is broken.
            InternalError: It is broken by a fault of the sandbox itself.
        """
        async with self._lock:
            if self.broken:
                raise self.broken
            self._number += 1
            request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
            # until the reader has its answer
            self.broken = self._cut_off
            self._answer = asyncio.get_running_loop().create_future()
            try:
                await self._wire.write(encode(request))
            except (OSError, EOFError, ValueError) as error:
                self._answer = None
                self._break(f"the channel to the guest broke: {error}")
            reply = await self._answer
        return self.result(reply, method)

    def result(self, reply: Message, method: str) -> object:
        """Return the result that a reply holds.

        Raises:
            IsolationError: It holds none.
        """
        if isinstance(refusal := reply.get("error"), dict):
            raise IsolationError(f"the guest refused {method}: {refusal.get('message')}")
        if not isinstance(result := reply.get("result"), dict):
            self._break("the guest sent an answer without a result")
        return result

    def parse(self, line: bytes) -> Message:
        """Return a message of the guest.

        Raises:
            IsolationError: It is none; the connection is broken.
        """
        if not line.endswith(b"\n"):
            self._break("the container ended: its guest is gone")
        try:
            message = _DECODER.decode(line.decode())
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._break("the guest sent what is no message")
        return message

    async def _read(self) -> None:
        try:
            while True:
                line = await self._line()
                message = self.parse(line)
                if "method" in message:
                    self._notify(message, len(line))
                else:
                    self._resolve(message)
        except IsolationError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - else who waits for an answer would wait for nothing
            self._fail(InternalError(internal(error)))

    async def _line(self) -> bytes:
        try:
            return await self._wire.read_line()
        except (OSError, EOFError, ValueError) as error:
            raise IsolationError(f"the channel to the guest broke: {error}") from error

    def _resolve(self, message: Message) -> None:
        if self._answer is None or message.get("id") not in (self._number, None):
            self._break("the guest answered a call that was not asked")
        answer, self._answer = self._answer, None
        if not answer.done():  # else nobody waits any more: it stays cut off
            self.broken = None
            answer.set_result(message)

    def _notify(self, message: Message, size: int) -> None:
        """Have what the guest says of the network answered, also while a call is under way."""
        if self._network is None or message["method"] != NETWORK or "id" in message:
            self._break("the guest sent a message that it may not send")
        self._network_bytes += size
        if self._network_bytes > NETWORK_LIMIT:
            self._break("the guest says more of the network than any sound one")
        try:
            answers = self._network.take(message.get("params"))
        except InvalidMessage as error:
            self._break(f"the guest sent what is no message: {error}")
        for answer in answers:
            self._wire.post(encode({"jsonrpc": "2.0", "method": NETWORK, "params": answer}))

    def _fail(self, error: SandboxError) -> None:
        if self.broken in (None, self._cut_off):
            self.broken = error
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)
        self._answer = None

    def _break(self, reason: str) -> NoReturn:
        self.broken = IsolationError(reason)
        raise self.broken


def encode(message: Message) -> bytes:
    """Return a message as a line."""
    return _ENCODER.encode(message).encode() + b"\n"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# made once: ``json.dumps`` and ``json.loads`` make theirs anew if an option is given
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse)
