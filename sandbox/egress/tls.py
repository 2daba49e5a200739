"""The server's side of TLS over bytes; the host is the one that the client names, or none."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Unpack

from sandbox.egress import client_hello
from sandbox.egress.connection_context import ConnectionContext, Door, ProtocolHandler
from sandbox.egress.hostnames import HostnameError, normalise, printable
from sandbox.enums import EffectStatus
from sandbox.trace.effects import EgressDetail

_OVERHEAD = 64  # of one record, header and tag
_UNRECOGNISED = b"\x15\x03\x03\x00\x02\x02\x70"  # fatal alert 112, unrecognized_name
_RECORD = 16 * 1024

MakeHandler = Callable[[ConnectionContext, Door], ProtocolHandler]


class Tls:
    """TLS around another handler."""

    def __init__(self, context: ConnectionContext, door: Door, make_inner: MakeHandler) -> None:
        """Wait for a client's hello.

        Args:
            context: The network.
            door: How the connection came here; the host of a tunnel, if one was asked for.
            make_inner: Makes the handler inside, once the host is known.
        """
        self._context = context
        self._door = door
        self._make_inner = make_inner
        self._first = bytearray()
        self._server_name: str | None = None  # as sent
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._inner: ProtocolHandler | None = None
        self.finished = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._tls is None:
            self._first += data
            self._begin()
        else:
            self._in.write(data)
            self._turn(self._tls)

    def end(self) -> None:
        """End after the client's last byte."""
        if self._tls is None:
            sent = f"ended after {len(self._first)} bytes" if self._first else "nothing was sent"
            self._log(EffectStatus.ATTEMPTED, sent)
        elif self._inner is None:
            self._log(EffectStatus.ATTEMPTED, "ended in the TLS handshake")
        elif not self.finished:
            self._inner.end()
            return
        self.finished = True

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client."""
        if data := self._out.read(most):
            return data
        if self._tls is None or self._inner is None or self.finished:
            return b""
        plain = self._inner.output(max(1, min(most, _RECORD) - _OVERHEAD))
        try:
            if plain:
                self._tls.write(plain)
            elif self._inner.finished:
                self.finished = True
                self._tls.unwrap()
        except ssl.SSLError:  # it waits for the client's own farewell, which may never come
            self.finished = True
        return self._out.read(most)

    def _begin(self) -> None:
        try:
            names = client_hello.server_names(bytes(self._first))
            if names is None:
                return
            name = self._name(names)
        except client_hello.NotTls as error:
            self._refuse(str(error), first=self._first[:32].hex())
        except HostnameError as error:
            self._refuse(str(error))
        else:
            context = self._context.authority.context(self._context.hosts.find(name))
            self._door = self._door.through("sni", name, 443, "https")
            self._tls = context.wrap_bio(self._in, self._out, server_side=True)
            self._in.write(bytes(self._first))
            self._first.clear()
            self._turn(self._tls)

    def _name(self, names: list[str]) -> str:
        if not names:
            raise HostnameError("no server name (SNI)")
        self._server_name = names[0]
        name = normalise(names[0])
        self._context.hosts.find(name)
        for who, other in self._door.names.items():
            if other != name:
                raise HostnameError(f"the server name is another than that of {who.upper()}")
        return name

    def _turn(self, tls: ssl.SSLObject) -> None:
        try:
            if self._inner is None:
                tls.do_handshake()
                self._inner = self._make_inner(self._context, self._door)
            while data := tls.read(_RECORD):
                self._inner.feed(data)
            self._inner.end()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            if self._inner:
                self._inner.end()
        except ssl.SSLError as error:
            reason = f"TLS: {error.reason or type(error).__name__}"
            self._log(EffectStatus.ATTEMPTED, printable(reason.replace("_", " ").lower()))
            self.finished = True

    def _refuse(self, reason: str, /, **detail: Unpack[EgressDetail]) -> None:
        self._log(EffectStatus.DENIED, reason, **detail)
        self._out.write(_UNRECOGNISED)
        self.finished = True

    def _log(self, status: EffectStatus, reason: str, /, **detail: Unpack[EgressDetail]) -> None:
        names, name = self._door.names, self._server_name
        if name is not None:
            names = {**names, "sni": printable(name)}
        else:
            name = names.get("connect")
        detail.update({"port": 443, "tls": True})
        if names:
            detail["names"] = {**names}
        self._context.log.connection(
            f"{name or '127.0.0.1'}:443",
            status,
            reason,
            **detail,
        )
