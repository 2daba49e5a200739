r"""Judging a host as a client wrote it: equal to a declared one after normalising, or refused.

Filters elsewhere were passed by ``attacker.example\\0.allowed.example`` and by suffixes. So a name is
brought into one form first, in which nothing is left to be read in two ways, and then compared as a
whole. What cannot be brought into that form is refused, with the reason.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

NAME_LIMIT = 253
"""Characters of a name (RFC 1035)."""
LABEL_LIMIT = 63

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_PORT = re.compile(r"[0-9]{1,5}")
_IPV6 = "an IPv6 address, not a name"
_FORBIDDEN = (
    (re.compile(r"\0"), "NUL in the name"),
    (re.compile(r"[^\0-\x7f]"), "not ASCII: an international name is written in its xn-- form"),
    (re.compile(r"[\x01-\x20\x7f]"), "white space or a control character in the name"),
    (re.compile(r"@"), "user information in front of the host"),
    (re.compile(r"%"), "percent-encoding in the name"),
    (re.compile(r"[/\\?#]"), "a path in place of a name"),
)
"""Characters with which one name is made to look like another, each refused by its own reason."""


class HostnameError(ValueError):
    """A name that is no declared host; the text says why, in printable ASCII."""


@dataclass(frozen=True)
class HostPort:
    """A host and a port."""

    host: str
    """As normalised."""
    port: int


class DeclaredHosts:
    """The hosts of a scenario."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names.

        Args:
            names: In normal form; ``*.`` in front stands for exactly one further label.
        """
        given = frozenset(names)
        self._exact = frozenset(name for name in given if not name.startswith("*."))
        self._below = frozenset(name[2:] for name in given - self._exact)

    def find(self, name: str) -> str:
        """Return the declaration that a normalised name falls under.

        Raises:
            HostnameError: There is none.
        """
        if name in self._exact:
            return name
        _, _, above = name.partition(".")
        if above in self._below:
            return f"*.{above}"
        raise HostnameError(f"undeclared host{_meaning(name)}")


def normalise(raw: str) -> str:
    """Return a host name in lower case, without the dot of the root.

    Raises:
        HostnameError: It is an address in any notation, or no host name.
    """
    if not raw or len(raw) > NAME_LIMIT + 1:
        raise HostnameError("over-long name" if raw else "empty name")
    _check_characters(raw)
    name = raw.lower().removesuffix(".")
    labels = name.split(".")
    problems = (
        ("[" in name or ":" in name, _IPV6),
        ("" in labels, "empty label"),
        (_NUMBER.fullmatch(labels[-1]), f"an address{_address(labels)}, not a name"),
        (max(map(len, labels)) > LABEL_LIMIT, "over-long label"),
        (not all(map(_LABEL.fullmatch, labels)), "no host name"),
        (len(name) > NAME_LIMIT, "over-long name"),
    )
    for found, reason in problems:
        if found:
            raise HostnameError(reason)
    return name


def authority(raw: str, default_port: int) -> HostPort:
    """Return host and port of ``host[:port]``, as in a Host header or a CONNECT request.

    Raises:
        HostnameError: It holds anything else, or the host is no name.
    """
    host, colon, port = raw.rpartition(":")
    if raw.startswith("["):
        raise HostnameError(_IPV6)
    if not colon:
        return HostPort(normalise(raw), default_port)
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        _check_characters(raw)
        raise HostnameError("unsound port")
    return HostPort(normalise(host), int(port))


def printable(raw: str, limit: int = 300) -> str:
    """Return a text as it may stand in a record: printable ASCII, the rest escaped, cut if long."""
    shown = raw[:limit].encode("unicode_escape").decode("ascii")
    return shown + ("…" if len(raw) > limit else "")


def _check_characters(raw: str) -> None:
    for pattern, reason in _FORBIDDEN:
        if pattern.search(raw):
            raise HostnameError(reason)


def _address(labels: list[str]) -> str:
    """Return the IPv4 address that the C library would take the labels for, in parentheses."""
    try:
        return f" ({ipaddress.IPv4Address(socket.inet_aton('.'.join(labels)))})"
    except OSError:
        return ""


def _meaning(name: str) -> str:
    """Return what a name in xn-- form reads as, for the eyes of who judges the record."""
    if "xn--" not in name:
        return ""
    import idna

    try:
        return f" (reads as {printable(idna.decode(name))})"
    except (idna.IDNAError, UnicodeError):
        return " (no sound xn-- form)"
