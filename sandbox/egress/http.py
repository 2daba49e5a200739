"""HTTP/1.1 over bytes, parsed by h11: every request is judged, answered from the world, recorded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from http.client import responses

import h11

from sandbox.egress import request_host, responder
from sandbox.egress.connection_context import ConnectionContext, Door, ProtocolHandler
from sandbox.egress.hostnames import HostnameError
from sandbox.egress.request_host import RequestError, RequestTarget
from sandbox.egress.request_log import BODY_BYTES
from sandbox.egress.tls import Tls
from sandbox.enums import EffectStatus
from sandbox.scenario.network import HttpResponse
from sandbox.trace.effects import EgressDetail

HEADER_LIMIT = 16 * 1024
"""Bytes of a request's head, and of one chunk's."""
_PIECE = 32 * 1024
_LENGTHS = {"content-length", "transfer-encoding"}


@dataclass
class _Arriving:
    target: RequestTarget
    headers: tuple[tuple[str, str], ...]
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        """Take a piece of the body; all of it is counted and hashed, the beginning kept."""
        self.body += data[: BODY_BYTES - len(self.body)]
        self.size += len(data)
        self.hash.update(data)


class Http:
    """One connection's requests, one after another."""

    def __init__(self, context: ConnectionContext, door: Door) -> None:
        self._context = context
        self._door = door
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)
        self._arriving: _Arriving | None = None
        self._served = False
        self._out = bytearray()
        self._rest: memoryview | None = None  # of the answer's body
        self._tunnel: ProtocolHandler | None = None
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
        """End after the client's last byte."""
        if self._tunnel:
            self._tunnel.end()
        elif not self._over:
            if self._arriving:
                self._log(
                    self._arriving,
                    EffectStatus.ATTEMPTED,
                    0,
                    "ended before the request was complete",
                )
            elif not self._served:
                self._log_connection(EffectStatus.ATTEMPTED, "ended before a request")
            self._arriving, self._over = None, True

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client."""
        if not self._out and self._rest is not None:
            self._send_rest()
        if not self._out and self._tunnel:
            return self._tunnel.output(most)
        piece = bytes(self._out[:most])
        del self._out[:most]
        return piece

    def _send(self, event: h11.Event) -> None:
        self._out += self._http.send(event) or b""

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
                self._refuse(f"not sound HTTP: {error}", error.error_status_hint)

    def _begin(self, event: h11.Request) -> None:
        headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in event.headers)
        host = next((value for name, value in headers if name == "host"), None)
        target = RequestTarget(event.method.decode("latin-1"), event.target.decode("latin-1"), host)
        self._arriving = _Arriving(target, headers)
        if _LENGTHS.issubset(name for name, _ in headers):
            raise h11.RemoteProtocolError("Content-Length beside Transfer-Encoding")
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def _complete(self, arriving: _Arriving) -> None:
        target = arriving.target
        try:
            if target.method == "CONNECT":
                self._open(target)
                return
            name = request_host.addressee(target, self._door).host
            host = self._context.host(name)
        except HostnameError as error:
            self._refuse(str(error), 403)
        except RequestError as error:
            self._refuse(str(error), error.status)
        else:
            answer = responder.respond(host, target.method, target.path)
            self._log(arriving, EffectStatus.DONE, answer.status, "", name)
            self._answer(answer, head=target.method == "HEAD")

    def _open(self, target: RequestTarget) -> None:
        """Become the tunnel that was asked for."""
        to = request_host.tunnel(target, self._door)
        self._context.host(to.host)
        self._log_connection(
            EffectStatus.DONE, "", f"{to.host}:{to.port}", target.names(self._door)
        )
        self._send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
        scheme = request_host.PROXY_PORTS[to.port]
        door = self._door.through("connect", to.host, to.port, scheme)
        self._arriving = None
        secure = scheme == "https"
        self._tunnel = Tls(self._context, door, Http) if secure else Http(self._context, door)
        if early := self._http.trailing_data[0]:
            self._tunnel.feed(early)

    def _refuse(self, reason: str, status: int) -> None:
        """Answer that this is not served, and take no more from this connection."""
        arriving, self._arriving = self._arriving, None
        if arriving is None:
            self._log_connection(EffectStatus.DENIED, reason)
        elif arriving.target.method == "CONNECT":
            names = arriving.target.names(self._door)
            self._log_connection(EffectStatus.DENIED, reason, arriving.target.target, names)
        else:
            self._log(arriving, EffectStatus.DENIED, status, reason)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = f"refused: {reason}\n".encode("ascii", "backslashreplace")
            self._answer(HttpResponse(status, "text/plain; charset=utf-8", body), last=True)
        self._over = True

    def _answer(self, answer: HttpResponse, *, head: bool = False, last: bool = False) -> None:
        self._served, self._arriving = True, None
        bare = answer.status in (204, 304)
        headers = [("Content-Type", answer.type), ("Content-Length", str(len(answer.body)))]
        self._send(
            h11.Response(
                status_code=answer.status,
                headers=[
                    *headers[: 0 if bare else 2],
                    *([("Connection", "close")] if last else []),
                ],
                reason=responses.get(answer.status, "").encode(),
            )
        )
        self._rest = memoryview(b"" if bare or head else answer.body)

    def _send_rest(self) -> None:
        """Put the next piece of the answer's body out; after the last, look for a next request."""
        assert self._rest is not None
        piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
        if piece:
            self._send(h11.Data(bytes(piece)))
        if self._rest:
            return
        self._rest = None
        self._send(h11.EndOfMessage())
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._advance()
        elif self._http.our_state is not h11.DONE:
            self._over = True

    def _log(
        self, arriving: _Arriving, outcome: EffectStatus, status: int, reason: str, host: str = ""
    ) -> None:
        target = arriving.target
        names = target.names(self._door)
        self._served = True
        self._context.log.request(
            scheme=self._door.scheme,
            host=host or names.get("url") or names.get("host") or next(iter(names.values()), ""),
            port=self._door.port,
            method=target.method,
            target=target.path,
            headers=arriving.headers,
            body=bytes(arriving.body),
            size=arriving.size,
            sha256=arriving.hash.hexdigest(),
            status=status,
            outcome=outcome,
            reason=reason,
            names=names if len(set(names.values())) > 1 else {},
        )

    def _log_connection(
        self,
        status: EffectStatus,
        reason: str,
        target: str = "",
        names: dict[str, str] | None = None,
    ) -> None:
        names = names or self._door.names
        first = next(iter(self._door.names.values()), "127.0.0.1")
        detail: EgressDetail = {"port": self._door.port}
        if names:
            detail["names"] = dict(names)
        self._context.log.connection(
            target or f"{first}:{self._door.port}",
            status,
            reason,
            **detail,
        )
