"""The server's side of TLS over bytes; the host is the one that the client names, or none."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from sandbox.egress import client_hello
from sandbox.egress.connection_context import Conversation, Door, Site
from sandbox.egress.hostnames import NameRefused, normalise, printable
from sandbox.enums import EffectStatus
from sandbox.trace.effects import EgressDetail

_OVERHEAD = 64  # of one record, header and tag
_UNRECOGNISED = b"\x15\x03\x03\x00\x02\x02\x70"  # fatal alert 112, unrecognized_name
_RECORD = 16 * 1024

Behind = Callable[[Site, Door], Conversation]


class Tls:
    """TLS around another conversation."""

    def __init__(self, site: Site, door: Door, behind: Behind) -> None:
        """Wait for a client's hello.

        Args:
            site: The network.
            door: How the connection came here; where a tunnel was asked for, its host.
            behind: Makes the conversation inside, once the host is known.
        """
        self._site = site
        self._door = door
        self._behind = behind
        self._first = bytearray()
        self._said: str | None = None  # the server name, as sent
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._inner: Conversation | None = None
        self._shut = False
        self.finished = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._tls is None:
            self._first += data
            self._begin()
            return
        self._in.write(data)
        self._turn(self._tls)

    def end(self) -> None:
        """Take it that the client sends no more."""
        if self._tls is None:
            sent = f"ended after {len(self._first)} bytes" if self._first else "nothing was sent"
            self._note(EffectStatus.ATTEMPTED, sent)
        elif self._inner is None:
            self._note(EffectStatus.ATTEMPTED, "ended in the TLS handshake")
        elif not self._shut:
            self._inner.end()
            return
        self.finished = True

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client."""
        if data := self._out.read(most):
            return data
        if self._tls is None or self._inner is None or self._shut:
            return b""
        plain = self._inner.output(max(1, min(most, _RECORD) - _OVERHEAD))
        try:
            if plain:
                self._tls.write(plain)
            elif self._inner.finished:
                self._shut = self.finished = True
                self._tls.unwrap()
        except ssl.SSLError:  # it waits for the client's own farewell, which may never come
            self._shut = self._shut or bool(plain)
            self.finished = self._shut
        return self._out.read(most)

    def _begin(self) -> None:
        try:
            found = client_hello.parse(bytes(self._first))
            if found is None:
                return
            name = self._name(found)
        except client_hello.NotTls as error:
            self._refuse(str(error), self._first[:32].hex())
            return
        except NameRefused as refused:
            self._refuse(str(refused))
            return
        context = self._site.authority.context(self._site.declared.find(name))
        self._door = self._door.through("sni", name, 443, "https")
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._in.write(bytes(self._first))
        self._first.clear()
        self._turn(self._tls)

    def _name(self, found: client_hello.Hello) -> str:
        if found.server_name is None:
            raise NameRefused("no server name (SNI)")
        self._said = found.server_name
        name = normalise(found.server_name)
        self._site.declared.find(name)
        for who, other in self._door.names.items():
            if other != name:
                raise NameRefused(f"the server name is another than that of {who.upper()}")
        return name

    def _turn(self, tls: ssl.SSLObject) -> None:
        """Go on with the handshake, then hand on what was decrypted."""
        try:
            if self._inner is None:
                tls.do_handshake()
                self._inner = self._behind(self._site, self._door)
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
            self._note(EffectStatus.ATTEMPTED, printable(reason.replace("_", " ").lower()))
            self._shut = self.finished = True

    def _refuse(self, reason: str, first: str = "") -> None:
        self._note(EffectStatus.DENIED, reason, first)
        self._out.write(_UNRECOGNISED)
        self._shut = self.finished = True

    def _note(self, status: EffectStatus, reason: str, first: str = "") -> None:
        name = self._said if self._said is not None else self._door.names.get("connect", "")
        names = dict(self._door.names)
        if self._said is not None:
            names["sni"] = printable(self._said)
        detail: EgressDetail = {"port": 443, "tls": True}
        if names:
            detail["names"] = names
        if first:
            detail["first"] = first
        self._site.journal.connection(
            f"{name or '127.0.0.1'}:443",
            status,
            reason,
            detail,
        )
