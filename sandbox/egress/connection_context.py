"""What every connection of a run shares: the declared hosts, the certificates, the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sandbox.egress.certificates import Authority
from sandbox.egress.hostnames import Declared
from sandbox.egress.request_log import Journal
from sandbox.scenario.network import HostData, NetworkData


class Conversation(Protocol):
    """One side of a connection, as bytes in and bytes out."""

    @property
    def finished(self) -> bool:
        """True where nothing more will be read; what is left to say may still be asked for."""
        ...

    def feed(self, data: bytes) -> None:
        """Take bytes of the client; only once there is no output left."""
        ...

    def end(self) -> None:
        """Take it that the client sends no more."""
        ...

    def output(self, most: int) -> bytes:
        """Return the next bytes for the client; nothing where it is the client's turn."""
        ...


class Site:
    """The network of one run."""

    def __init__(self, network: NetworkData) -> None:
        self._network = network
        self.declared = Declared(network)
        self.authority = Authority()
        self.journal = Journal()

    def host(self, name: str) -> HostData:
        """Return what a normalised name serves.

        Raises:
            NameRefused: It is not declared.
        """
        return self._network[self.declared.find(name)]


@dataclass(frozen=True)
class Door:
    """How a conversation was reached, and which host has been agreed on until here."""

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
