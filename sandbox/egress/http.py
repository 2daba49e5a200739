"""HTTP/1.1 over bytes, parsed by h11: every request is judged, answered from the world, recorded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from http.client import responses

import h11

from sandbox.egress import request_host, responder
from sandbox.egress.connection_context import Conversation, Door, Site
from sandbox.egress.hostnames import NameRefused
from sandbox.egress.request_host import Addressed, RequestRefused
from sandbox.egress.request_log import BODY_KEPT, Request
from sandbox.egress.tls import Tls
from sandbox.enums import EffectStatus
from sandbox.scenario.network import HttpResponse
from sandbox.trace.effects import EgressDetail

HEADER_LIMIT = 16 * 1024
"""Bytes of a request's head, and of one chunk's."""
_PIECE = 32 * 1024
_ALIKE = ("content-length", "transfer-encoding")


@dataclass
class _Arriving:
    """A request while its body comes in."""

    asked: Addressed
    headers: tuple[tuple[str, str], ...]
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        """Take a piece of the body; all of it is counted and hashed, the beginning kept."""
        self.body += data[: BODY_KEPT - len(self.body)]
        self.size += len(data)
        self.hash.update(data)


class Http:
    """One connection's requests, one after another."""

    def __init__(self, site: Site, door: Door) -> None:
        self._site = site
        self._door = door
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)
        self._arriving: _Arriving | None = None
        self._served = 0
        self._out = bytearray()
        self._rest: memoryview | None = None  # of the answer's body
        self._tunnel: Conversation | None = None
        self._over = False

    @property
    def finished(self) -> bool:
        """True where nothing more will be read."""
        return self._tunnel.finished if self._tunnel and not self._over else self._over

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._tunnel:
            self._tunnel.feed(data)
        elif not self._over:
            self._http.receive_data(data)
            self._advance()

    def end(self) -> None:
        """Take it that the client sends no more."""
        if self._tunnel:
            self._tunnel.end()
            return
        if self._over:
            return
        if self._arriving:
            self._note(
                self._arriving, EffectStatus.ATTEMPTED, 0, "ended before the request was complete"
            )
        elif not self._served:
            self._note_connection(EffectStatus.ATTEMPTED, "ended before a request")
        self._arriving, self._over = None, True

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client."""
        if not self._out and self._rest is not None:
            self._send_rest()
        if not self._out and self._tunnel:
            return self._tunnel.output(most)
        taken = bytes(self._out[:most])
        del self._out[:most]
        return taken

    def _advance(self) -> None:
        """Take what h11 makes of the bytes, until an answer is due or more bytes are needed."""
        while self._rest is None and not self._tunnel and not self._over:
            try:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._begin(event)
                elif isinstance(event, h11.Data) and self._arriving:
                    self._arriving.add(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) and self._arriving:
                    self._complete(self._arriving)
                elif event in (h11.NEED_DATA, h11.PAUSED):
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    self._over = True
            except h11.RemoteProtocolError as error:
                self._refuse(RequestRefused(error.error_status_hint, f"not sound HTTP: {error}"))

    def _begin(self, event: h11.Request) -> None:
        headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers)
        host = next((value for name, value in headers if name == "host"), None)
        asked = Addressed(event.method.decode("latin-1"), event.target.decode("latin-1"), host)
        self._arriving = _Arriving(asked, headers)
        if all(any(name == alike for name, _ in headers) for alike in _ALIKE):
            raise h11.RemoteProtocolError("Content-Length beside Transfer-Encoding")
        if self._http.they_are_waiting_for_100_continue:
            self._out += self._http.send(h11.InformationalResponse(status_code=100, headers=[]))

    def _complete(self, arriving: _Arriving) -> None:
        asked = arriving.asked
        try:
            if asked.method == "CONNECT":
                self._open(asked)
                return
            whom = request_host.addressee(asked, self._door)
            try:
                host = self._site.host(whom.host)
            except NameRefused as refused:
                raise RequestRefused(403, str(refused)) from refused
        except RequestRefused as refused:
            self._refuse(refused)
            return
        answer = responder.respond(host, asked.method, asked.path)
        self._note(arriving, EffectStatus.DONE, answer.status, "", whom.host)
        self._answer(answer, head=asked.method == "HEAD")

    def _open(self, asked: Addressed) -> None:
        """Become the tunnel that was asked for."""
        to = request_host.tunnel(asked, self._door)
        try:
            self._site.host(to.host)
        except NameRefused as refused:
            raise RequestRefused(403, str(refused)) from refused
        self._note_connection(
            EffectStatus.DONE, "", f"{to.host}:{to.port}", names=asked.said(self._door)
        )
        self._out += (
            self._http.send(
                h11.Response(status_code=200, headers=[], reason=b"Connection established")
            )
            or b""
        )
        scheme = request_host.PROXY_PORTS[to.port]
        door = self._door.through("connect", to.host, to.port, scheme)
        self._arriving = None
        inside: Conversation = Http(self._site, door)
        if scheme == "https":
            inside = Tls(self._site, door, Http)
        self._tunnel = inside
        if early := self._http.trailing_data[0]:
            inside.feed(early)

    def _refuse(self, refused: RequestRefused) -> None:
        """Answer that this is not served, and take no more from this connection."""
        arriving, self._arriving = self._arriving, None
        if arriving is None:
            self._note_connection(EffectStatus.DENIED, str(refused))
        elif arriving.asked.method == "CONNECT":
            names = arriving.asked.said(self._door)
            self._note_connection(
                EffectStatus.DENIED, str(refused), arriving.asked.target, names=names
            )
        else:
            self._note(arriving, EffectStatus.DENIED, refused.status, str(refused))
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = f"refused: {refused}\n".encode("ascii", "backslashreplace")
            answer = HttpResponse(refused.status, "text/plain; charset=utf-8", body)
            self._answer(answer, head=False, last=True)
        self._over = True

    def _answer(self, answer: HttpResponse, *, head: bool, last: bool = False) -> None:
        self._served += 1
        self._arriving = None
        bare = head or answer.status in (204, 304)
        headers = [("Content-Type", answer.type), ("Content-Length", str(len(answer.body)))]
        headers = headers[: 0 if answer.status in (204, 304) else 2]
        headers += [("Connection", "close")] if last else []
        made = h11.Response(
            status_code=answer.status, headers=headers, reason=_phrase(answer.status)
        )
        self._out += self._http.send(made) or b""
        self._rest = memoryview(b"" if bare else answer.body)

    def _send_rest(self) -> None:
        """Put the next piece of the answer's body out; after the last, look for a next request."""
        assert self._rest is not None
        piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
        if piece:
            self._out += self._http.send(h11.Data(bytes(piece))) or b""
        if self._rest:
            return
        self._rest = None
        self._out += self._http.send(h11.EndOfMessage()) or b""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._advance()
        elif self._http.our_state is not h11.DONE:
            self._over = True

    def _note(
        self, arriving: _Arriving, outcome: EffectStatus, status: int, reason: str, host: str = ""
    ) -> None:
        asked = arriving.asked
        names = asked.said(self._door)
        known = host or names.get("url") or names.get("host") or next(iter(names.values()), "")
        self._served += 1
        noted = Request(
            scheme=self._door.scheme,
            host=known,
            port=self._door.port,
            method=asked.method,
            target=asked.path,
            headers=arriving.headers,
            body=bytes(arriving.body),
            size=arriving.size,
            sha256=arriving.hash.hexdigest(),
            status=status,
            outcome=outcome,
            reason=reason,
        )
        differing = len(set(names.values())) > 1
        self._site.journal.request(replace(noted, names=names) if differing else noted)

    def _note_connection(
        self,
        status: EffectStatus,
        reason: str,
        target: str = "",
        names: dict[str, str] | None = None,
    ) -> None:
        named = next(iter(self._door.names.values()), "127.0.0.1")
        told = names or self._door.names
        detail: EgressDetail = {"port": self._door.port}
        if told:
            detail["names"] = dict(told)
        where = target or f"{named}:{self._door.port}"
        self._site.journal.connection(where, status, reason, detail)


def _phrase(status: int) -> bytes:
    return responses.get(status, "").encode()
