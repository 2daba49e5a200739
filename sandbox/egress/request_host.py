"""Whom a request is for: every place in it that names a host must name the same one."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.egress.connection_context import Door
from sandbox.egress.hostnames import HostPort, authority, printable

PROXY_PORTS = {80: "http", 443: "https"}
"""Port that a tunnel may lead to → what is spoken behind it."""


class RequestError(Exception):
    """A request that is not served."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        """HTTP status of the refusal."""


@dataclass(frozen=True)
class RequestTarget:
    """A request's way, as far as its own words say it."""

    method: str
    target: str
    """As sent."""
    host: str | None
    """The Host header, if there is one."""

    @property
    def url(self) -> tuple[str, str, str] | None:
        """Scheme, authority and path, if the target is a whole URL."""
        scheme, sign, rest = self.target.partition("://")
        if not sign or self.target.startswith("/"):
            return None
        end = next((at for at, c in enumerate(rest) if c in "/?#"), len(rest))
        return scheme.lower(), rest[:end], rest[end:] or "/"

    @property
    def path(self) -> str:
        """Path and query."""
        return self.url[2] if self.url else self.target

    def names(self, door: Door) -> dict[str, str]:
        """Return who names which host, as a record may hold it."""
        connect = {"connect": printable(self.target)} if self.method == "CONNECT" else {}
        return {
            **door.names,
            **({} if self.host is None else {"host": printable(self.host)}),
            **({"url": printable(self.url[1])} if self.url else connect),
        }


def tunnel(target: RequestTarget, door: Door) -> HostPort:
    """Return where a CONNECT request leads.

    Raises:
        RequestError: Nowhere.
        HostnameError: To no host.
    """
    if not door.proxy:
        raise RequestError(405, "CONNECT where no proxy is")
    to = authority(target.target, 0)
    other = to if target.host is None else authority(target.host, to.port)
    if to.port not in PROXY_PORTS:
        raise RequestError(403, "a tunnel to another port than 80 and 443")
    if other.host != to.host:
        raise RequestError(421, "CONNECT and Host name different hosts")
    return to


def addressee(target: RequestTarget, door: Door) -> HostPort:
    """Return whom a request is for; whether that host exists is not asked here.

    Raises:
        RequestError: It names none, or different ones.
        HostnameError: It names what is no host.
    """
    named = _authorities(target, door)
    if not named:
        raise RequestError(400, "no host is named")
    first = named[0]
    if any(other != first for other in named):
        raise RequestError(421, "the request names different hosts or ports")
    if any(name != first.host for name in door.names.values()):
        before = " and ".join(name.upper() for name in door.names)
        raise RequestError(421, f"Host is another than that of {before}")
    if first.port != door.port:
        raise RequestError(421, f"port {first.port} is named on a connection to {door.port}")
    return first


def _authorities(target: RequestTarget, door: Door) -> list[HostPort]:
    texts = [] if target.host is None else [target.host]
    if target.url:
        scheme, where, _ = target.url
        if scheme != door.scheme:
            raise RequestError(421, f"{printable(scheme, 20)} is asked for over {door.scheme}")
        texts.insert(0, where)
    elif not door.direct:
        raise RequestError(400, "a path alone, sent to the proxy")
    elif not target.target.startswith("/") and target.target != "*":
        raise RequestError(400, "neither a path nor a URL")
    return [authority(text, door.port) for text in texts]
