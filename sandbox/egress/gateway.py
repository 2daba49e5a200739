"""The engine's end of a container's network: messages of the guest in, messages to it out.

No socket is opened here and nothing waits: a message is taken, and what there is to say to it is
returned. What the guest says is checked, since the code of a tool shares its process.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.egress.connection_context import ConnectionContext, Door, ProtocolHandler
from sandbox.egress.dns import Resolver, TcpQuestions
from sandbox.egress.http import Http
from sandbox.egress.request_log import RequestFacts
from sandbox.egress.tls import Tls
from sandbox.enums import EffectStatus
from sandbox.guest.messages import InvalidMessage, NetworkMessage, validate
from sandbox.guest.relay import STREAMS, WINDOW
from sandbox.scenario.network import NetworkData
from sandbox.trace.effects import EgressEffect

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


class _Stream:
    """One connection: bytes that wait, and how many the client has not taken."""

    def __init__(self, handler: ProtocolHandler) -> None:
        self.handler = handler
        self.inbox = bytearray()
        self.at_end = False
        self.room = WINDOW

    def turn(self, number: int) -> Iterator[NetworkMessage]:
        """Go on as far as windows allow; yield what is to be sent."""
        handler, at_end = self.handler, self.at_end
        while self.room > 0:
            if data := handler.output(min(self.room, _PIECE)):
                self.room -= len(data)
                yield {"stream": number, "event": "data", "data": b64encode(data).decode()}
            elif handler.finished:
                yield {"stream": number, "event": "end"}
                return
            elif self.inbox:
                piece = bytes(self.inbox[:_PIECE])
                del self.inbox[:_PIECE]
                handler.feed(piece)
                yield {"stream": number, "event": "taken", "bytes": len(piece)}
            elif at_end:
                at_end = False
                handler.end()
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
        self._context = ConnectionContext(network)
        self._allowance = allowance or Allowance()
        self._resolver = Resolver(self._context.hosts, self._context.log)
        self._streams: dict[int, _Stream] = {}
        self._connections = self._questions = self._bytes = 0
        self._over = False

    @property
    def certificate(self) -> bytes:
        """The certificate that clients in the container are to trust, PEM."""
        return self._context.authority.certificate

    @property
    def requests(self) -> list[RequestFacts]:
        """Every HTTP request until now, as conditions of a score see it."""
        return self._context.log.requests

    def call_begins(self) -> None:
        """Put what waits to be handed over before the call that begins."""
        self._context.log.mark_late()

    def drain(self) -> tuple[list[EgressEffect], int]:
        """Return the effects since the last time, and how many more were too many to keep."""
        return self._context.log.drain()

    def close(self) -> None:
        """End with the container: what was under way is recorded as attempted."""
        for stream in self._streams.values():
            stream.handler.end()
        self._streams.clear()
        self._over = True

    def take(self, params: object) -> list[NetworkMessage]:
        """Take a message of the guest; return the messages that answer it.

        Raises:
            InvalidMessage: No sound guest says this.
        """
        message = validate(NetworkMessage, params, "a message about the network")
        return [] if self._over else list(self._take(message))

    def _take(self, message: NetworkMessage) -> Iterator[NetworkMessage]:
        number, event = message["stream"], message["event"]
        if event == "open":
            self._open(number, message.get("port"))
        elif event == "dns":
            self._questions += 1
            answer = b64encode(self._resolver.answer(_data(message))).decode()
            yield {"stream": number, "event": "dns", "data": answer}
        elif event == "gone":
            if stream := self._streams.pop(number, None):
                stream.handler.end()
        elif event in ("data", "end", "taken"):
            if stream := self._streams.get(number):
                yield from self._move(stream, message)
        else:
            raise InvalidMessage("an unknown event")
        if reason := self._exhausted():
            self.close()
            self._context.log.connection("*", EffectStatus.DENIED, f"the network ends: {reason}")
            yield {"stream": 0, "event": "stop"}

    def _open(self, number: int, port: int | None) -> None:
        if number in self._streams or len(self._streams) >= STREAMS:
            raise InvalidMessage("more streams than it may open")
        self._connections += 1
        if port == 53:
            handler: ProtocolHandler = TcpQuestions(self._resolver)
        elif port == 443:
            handler = Tls(self._context, Door(443, "https"), Http)
        elif port in (80, 3128):
            handler = Http(self._context, Door(80, proxy=True, direct=port == 80))
        else:
            raise InvalidMessage("a port where nothing listens")
        self._streams[number] = _Stream(handler)

    def _move(self, stream: _Stream, message: NetworkMessage) -> Iterator[NetworkMessage]:
        if message["event"] == "data":
            data = _data(message)
            self._bytes += len(data)
            stream.inbox += data
        elif message["event"] == "end":
            stream.at_end = True
        else:
            stream.room += message.get("bytes", WINDOW + 1)
        if len(stream.inbox) > WINDOW or not 0 <= stream.room <= WINDOW:
            raise InvalidMessage("more bytes than its window holds")
        for answer in stream.turn(message["stream"]):
            yield answer
            if answer["event"] == "end":
                self._streams.pop(message["stream"], None)

    def _exhausted(self) -> str:
        most = self._allowance
        parts = (
            (self._bytes > most.bytes_in, f"more than {most.bytes_in} bytes were sent"),
            (self._connections >= most.streams, f"{most.streams} connections were opened"),
            (self._questions >= most.questions, f"{most.questions} questions were asked"),
            (len(self.requests) >= most.requests, f"{most.requests} requests were made"),
        )
        return next((reason for over, reason in parts if over), "")


def _data(message: NetworkMessage) -> bytes:
    try:
        return b64decode(message.get("data", "?"), validate=True)
    except ValueError as error:
        raise InvalidMessage("no bytes in base64") from error
