r"""Judging a host as a client wrote it: equal to a declared one after normalising, or refused.

Filters elsewhere were passed by ``attacker.example\\0.allowed.example`` and by suffixes. So a name is
brought into one form first, in which nothing is left to be read in two ways, and then compared as a
whole. What cannot be brought into that form is refused, with the reason.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

NAME_LIMIT = 253
"""Characters of a name (RFC 1035)."""
LABEL_LIMIT = 63

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_PORT = re.compile(r"[0-9]{1,5}")


class NameRefused(ValueError):
    """A name that is no declared host; the text says why, in printable ASCII."""


@dataclass(frozen=True)
class Authority:
    """A host and a port."""

    host: str
    """As normalised."""
    port: int


class Declared:
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
            NameRefused: There is none.
        """
        if name in self._exact:
            return name
        _, _, above = name.partition(".")
        if above in self._below:
            return f"*.{above}"
        raise NameRefused(f"undeclared host{_meaning(name)}")


def normalise(raw: str) -> str:
    """Return a host name in lower case, without the dot of the root.

    Raises:
        NameRefused: It is an address in any notation, or no host name.
    """
    if not raw:
        _refuse("empty name")
    if len(raw) > NAME_LIMIT + 1:
        _refuse("over-long name")
    _check_signs(raw)
    name = raw.lower().removesuffix(".")
    if "[" in name or ":" in name:
        _refuse("an IPv6 address, not a name")
    labels = name.split(".")
    if "" in labels:
        _refuse("empty label")
    if _NUMBER.fullmatch(labels[-1]):
        _refuse(f"an address{_address(labels)}, not a name")
    for label in labels:
        if len(label) > LABEL_LIMIT:
            _refuse("over-long label")
        if not _LABEL.fullmatch(label):
            _refuse("no host name")
    if len(name) > NAME_LIMIT:
        _refuse("over-long name")
    return name


def authority(raw: str, default_port: int) -> Authority:
    """Return host and port of ``host[:port]``, as in a Host header or a CONNECT request.

    Raises:
        NameRefused: It holds anything else, or the host is no name.
    """
    host, colon, port = raw.rpartition(":")
    if raw.startswith("["):
        _refuse("an IPv6 address, not a name")
    if not colon:
        return Authority(normalise(raw), default_port)
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        _check_signs(raw)
        _refuse("unsound port")
    return Authority(normalise(host), int(port))


def printable(raw: str, limit: int = 300) -> str:
    """Return a text as it may stand in a record: printable ASCII, the rest escaped, cut if long."""
    shown = raw[:limit].encode("unicode_escape").decode("ascii")
    return shown + ("…" if len(raw) > limit else "")


def _check_signs(raw: str) -> None:
    """Refuse the signs with which one name is made to look like another, each by its own reason."""
    if "\0" in raw:
        _refuse("NUL in the name")
    if not raw.isascii():
        _refuse("not ASCII: an international name is written in its xn-- form")
    if any(sign.isspace() or not sign.isprintable() for sign in raw):
        _refuse("white space or a control character in the name")
    if "@" in raw:
        _refuse("user information in front of the host")
    if "%" in raw:
        _refuse("percent-encoding in the name")
    if any(sign in "/\\?#" for sign in raw):
        _refuse("a path in place of a name")


def _address(labels: list[str]) -> str:
    """Return the IPv4 address that the C library would take the labels for, in parentheses."""
    try:
        parts = [
            int(part, 0 if part.startswith("0x") else 8 if part[0] == "0" else 10)
            for part in labels
        ]
        last = parts.pop()
        if len(parts) > 3 or any(part > 255 for part in parts) or last >= 256 ** (4 - len(parts)):
            return ""
        value = sum(part << (24 - 8 * index) for index, part in enumerate(parts)) + last
    except ValueError:
        return ""
    return f" ({ipaddress.IPv4Address(value)})"


def _meaning(name: str) -> str:
    """Return what a name in xn-- form reads as, for the eyes of who judges the record."""
    if "xn--" not in name:
        return ""
    import idna

    try:
        return f" (reads as {printable(idna.decode(name))})"
    except (idna.IDNAError, UnicodeError):
        return " (no sound xn-- form)"


def _refuse(reason: str) -> NoReturn:
    raise NameRefused(reason)
