"""What every connection of a run shares: the declared hosts, the certificates, the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sandbox.egress.certificates import Authority
from sandbox.egress.hostnames import DeclaredHosts
from sandbox.egress.request_log import RequestLog
from sandbox.scenario.network import HostData, NetworkData


class ProtocolHandler(Protocol):
    """One side of a connection, as bytes in and bytes out."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will be read; output that is left may still be asked for."""

    def feed(self, data: bytes) -> None:
        """Take bytes of the client; only once there is no output left."""

    def end(self) -> None:
        """End after the client's last byte."""

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client; nothing if it is the client's turn."""


class ConnectionContext:
    """The network of one run."""

    def __init__(self, network: NetworkData) -> None:
        self._network = network
        self.hosts = DeclaredHosts(network)
        self.authority = Authority()
        self.log = RequestLog()

    def host(self, name: str) -> HostData:
        """Return what a normalised name serves.

        Raises:
            HostnameError: It is not declared.
        """
        return self._network[self.hosts.find(name)]


@dataclass(frozen=True)
class Door:
    """How a handler was reached, and which host has been agreed on until here."""

    port: int
    """80 or 443; what a client asks for by way of the proxy port is 80."""
    scheme: str = "http"
    proxy: bool = False
    """CONNECT and absolute URLs may be asked for."""
    direct: bool = True
    """A path alone may be asked for, the host being in its header."""
    names: dict[str, str] = field(default_factory=dict)
    """Who named the host before: ``connect``, ``sni`` → name, as normalised."""

    def through(self, how: str, name: str, port: int, scheme: str) -> Door:
        """Return the door behind this one."""
        return Door(port, scheme, names={**self.names, how: name})
