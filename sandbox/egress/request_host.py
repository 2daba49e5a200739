"""Whom a request is for: every place in it that names a host must name the same one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.egress.connection_context import Door
from sandbox.egress.hostnames import Authority, NameRefused, authority, printable

PROXY_PORTS = {80: "http", 443: "https"}
"""Port that a tunnel may lead to → what is spoken behind it."""


class RequestRefused(Exception):
    """A request that is not served."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        """HTTP status of the refusal."""


@dataclass(frozen=True)
class Addressed:
    """A request's way, as far as its own words say it."""

    method: str
    target: str
    """As sent."""
    host: str | None
    """The Host header; None where there is none."""

    @property
    def url(self) -> tuple[str, str, str] | None:
        """Scheme, authority and path where the target is a whole URL."""
        scheme, sign, rest = self.target.partition("://")
        if not sign or self.target.startswith("/"):
            return None
        end = next((at for at, c in enumerate(rest) if c in "/?#"), len(rest))
        return scheme.lower(), rest[:end], rest[end:] or "/"

    @property
    def path(self) -> str:
        """Path and query."""
        return self.url[2] if self.url else self.target

    def said(self, door: Door) -> dict[str, str]:
        """Return who names which host, as a record may hold it."""
        found = dict(door.names)
        if self.host is not None:
            found["host"] = printable(self.host)
        if self.url:
            found["url"] = printable(self.url[1])
        elif self.method == "CONNECT":
            found["connect"] = printable(self.target)
        return found


def tunnel(asked: Addressed, door: Door) -> Authority:
    """Return where a CONNECT request leads.

    Raises:
        RequestRefused: Nowhere.
    """
    if not door.proxy:
        raise RequestRefused(405, "CONNECT where no proxy is")
    try:
        to = authority(asked.target, 0)
        other = to if asked.host is None else authority(asked.host, to.port)
    except NameRefused as refused:
        raise RequestRefused(403, str(refused)) from refused
    if to.port not in PROXY_PORTS:
        raise RequestRefused(403, "a tunnel to another port than 80 and 443")
    if other.host != to.host:
        raise RequestRefused(421, "CONNECT and Host name different hosts")
    return to


def addressee(asked: Addressed, door: Door) -> Authority:
    """Return whom a request is for; whether that host exists is not asked here.

    Raises:
        RequestRefused: It names none, or different ones.
    """
    named = list(_named(asked, door))
    if not named:
        raise RequestRefused(400, "no host is named")
    first = named[0]
    if any(other != first for other in named[1:]):
        raise RequestRefused(421, "the request names different hosts or ports")
    if any(name != first.host for name in door.names.values()):
        raise RequestRefused(421, f"Host is another than that of {_list(door.names)}")
    if first.port != door.port:
        raise RequestRefused(421, f"port {first.port} is named on a connection to {door.port}")
    return first


def _named(asked: Addressed, door: Door) -> Iterable[Authority]:
    try:
        if asked.url:
            scheme, where, _ = asked.url
            if scheme != door.scheme:
                raise RequestRefused(
                    421, f"{printable(scheme, 20)} is asked for over {door.scheme}"
                )
            yield authority(where, door.port)
        elif not door.direct:
            raise RequestRefused(400, "a path alone, sent to the proxy")
        elif not asked.target.startswith("/") and asked.target != "*":
            raise RequestRefused(400, "neither a path nor a URL")
        if asked.host is not None:
            yield authority(asked.host, door.port)
    except NameRefused as refused:
        raise RequestRefused(403, str(refused)) from refused


def _list(names: Iterable[str]) -> str:
    return " and ".join(name.upper() for name in names)
