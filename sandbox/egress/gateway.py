"""The engine's end of a container's network: messages of the guest in, messages to it out.

No socket is opened here and nothing waits: a message is taken, and what there is to say to it is
returned. What the guest says is checked, since the code of a tool shares its process.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.egress.connection_context import Conversation, Door, Site
from sandbox.egress.dns import Resolver, TcpQuestions
from sandbox.egress.http import Http
from sandbox.egress.request_log import ScoredRequest
from sandbox.egress.tls import Tls
from sandbox.enums import EffectStatus
from sandbox.guest.relay import STREAMS, WINDOW
from sandbox.scenario.network import NetworkData
from sandbox.trace.effects import EgressEffect

Message = dict[str, Any]
_PIECE = 32 * 1024


@dataclass(frozen=True)
class Allowance:
    """What one run may use of its network. After that the network ends, and the record says so."""

    bytes_in: int = 256 * 1024 * 1024
    """Bytes that clients send."""
    streams: int = 20_000
    """Connections."""
    questions: int = 20_000
    """DNS messages."""
    requests: int = 20_000
    """HTTP requests."""


class GuestLied(ValueError):
    """A message that no sound guest sends."""


class _Stream:
    """One connection: bytes that wait, and how many the client has not taken."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.inbox = bytearray()
        self.ended = False
        self.room = WINDOW

    def turn(self, number: int) -> Iterator[Message]:
        """Go on as far as windows allow; yield what is to be sent."""
        talk, told = self.conversation, False
        while self.room > 0:
            if data := talk.output(min(self.room, _PIECE)):
                self.room -= len(data)
                yield _message(number, "data", data=b64encode(data).decode())
            elif talk.finished:
                yield _message(number, "end")
                return
            elif self.inbox:
                piece = bytes(self.inbox[:_PIECE])
                del self.inbox[:_PIECE]
                talk.feed(piece)
                yield _message(number, "taken", bytes=len(piece))
            elif self.ended and not told:
                told = True
                talk.end()
            else:
                return


class Egress:
    """The network of one run; see :class:`sandbox.isolation.base.NetworkWorld`."""

    def __init__(self, network: NetworkData, allowance: Allowance | None = None) -> None:
        """Serve the hosts of a world.

        Args:
            network: The hosts, canaries planted.
            allowance: What the run may use.
        """
        self._site = Site(network)
        self._allowance = allowance or Allowance()
        self._resolver = Resolver(self._site.declared, self._site.journal)
        self._streams: dict[int, _Stream] = {}
        self._opened = self._asked = self._bytes = 0
        self._stopped = False

    @property
    def certificate(self) -> bytes:
        """The certificate that clients in the container are to trust, PEM."""
        return self._site.authority.certificate

    @property
    def requests(self) -> list[ScoredRequest]:
        """Every HTTP request until now, as conditions of a score see it."""
        return self._site.journal.requests

    def call_begins(self) -> None:
        """Take it that a call begins: what waits to be handed over happened before it."""
        self._site.journal.mark_late()

    def drain(self) -> tuple[list[EgressEffect], int]:
        """Return the effects since the last time, and how many more were too many to keep."""
        return self._site.journal.drain()

    def close(self) -> None:
        """Take it that the container is gone: what was under way is recorded as attempted."""
        for stream in self._streams.values():
            stream.conversation.end()
        self._streams.clear()
        self._stopped = True

    def take(self, params: Mapping[str, Any]) -> list[Message]:
        """Take a message of the guest; return the messages that answer it.

        Raises:
            GuestLied: No sound guest says this.
        """
        try:
            return list(self._take(params["event"], params["stream"], params))
        except (KeyError, TypeError, binascii.Error) as error:
            raise GuestLied("not a message about the network") from error

    def _take(self, event: str, number: int, params: Mapping[str, Any]) -> Iterator[Message]:
        if type(number) is not int:
            raise GuestLied("a stream without a number")
        if self._stopped:
            return
        if event == "open":
            self._open(number, params["port"])
        elif event == "dns":
            yield self._answer(number, b64decode(params["data"], validate=True))
        elif event == "gone":
            if stream := self._streams.pop(number, None):
                stream.conversation.end()
        elif event in ("data", "end", "taken"):
            if stream := self._streams.get(number):
                yield from self._move(number, stream, event, params)
        else:
            raise GuestLied("an unknown event")
        if reason := self._spent():
            yield from self._stop(reason)

    def _open(self, number: int, port: int) -> None:
        if number in self._streams or len(self._streams) >= STREAMS:
            raise GuestLied("more streams than it may open")
        self._opened += 1
        if port == 53:
            talk: Conversation = TcpQuestions(self._resolver)
        elif port == 443:
            talk = Tls(self._site, Door(443, "https"), Http)
        elif port in (80, 3128):
            talk = Http(self._site, Door(80, proxy=True, direct=port == 80))
        else:
            raise GuestLied("a port where nothing listens")
        self._streams[number] = _Stream(talk)

    def _move(
        self, number: int, stream: _Stream, event: str, params: Mapping[str, Any]
    ) -> Iterator[Message]:
        if event == "data":
            data = b64decode(params["data"], validate=True)
            self._bytes += len(data)
            stream.inbox += data
        elif event == "end":
            stream.ended = True
        else:
            stream.room += params["bytes"]
        if len(stream.inbox) > WINDOW or not 0 <= stream.room <= WINDOW:
            raise GuestLied("more bytes than its window holds")
        for message in stream.turn(number):
            yield message
            if message["event"] == "end":
                self._streams.pop(number, None)

    def _answer(self, number: int, raw: bytes) -> Message:
        self._asked += 1
        return _message(number, "dns", data=b64encode(self._resolver.answer(raw)).decode())

    def _spent(self) -> str:
        used, allowed = self._allowance, self._site.journal.requests
        if self._bytes > used.bytes_in:
            return f"more than {used.bytes_in} bytes were sent"
        if self._opened >= used.streams:
            return f"{used.streams} connections were opened"
        if self._asked >= used.questions:
            return f"{used.questions} questions were asked"
        return f"{used.requests} requests were made" if len(allowed) >= used.requests else ""

    def _stop(self, reason: str) -> Iterator[Message]:
        self.close()
        self._site.journal.connection("*", EffectStatus.DENIED, f"the network ends: {reason}")
        yield _message(0, "stop")


def _message(stream: int, event: str, **more: Any) -> Message:
    return {"stream": stream, "event": event, **more}
