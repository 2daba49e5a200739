"""Addresses and questions in what strace says of sockets."""

from __future__ import annotations

import re

_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_FOUR = re.compile(r'inet_addr\("([^"]*)"\)')
_SIX = re.compile(r'inet_pton\(AF_INET6, "([^"]*)"')
_PATH = re.compile(r'sun_path=(@?)"((?:[^"\\]|\\.)*)"')
_HEADER = 12  # bytes before the first question of a DNS message (RFC 1035, 4.1.1)
_NAME_LIMIT = 255


def address(arguments: str) -> str:
    """Return ``host:port`` or ``unix:path`` of a call's socket address, or an empty text."""
    if path := _PATH.search(arguments):
        return f"unix:{path[1]}{path[2]}"
    port = _PORT.search(arguments)
    if port and (host := _FOUR.search(arguments)):
        return f"{host[1]}:{port[1]}"
    if port and (host := _SIX.search(arguments)):
        return f"[{host[1]}]:{port[1]}"
    return ""


def dns_question(payload: bytes) -> str:
    """Return the name that a DNS message asks for, or an empty text where it is none.

    A standard query with one question of a known class, and no answers (RFC 1035, 4.1): what else
    is sent, such as the start of a TLS connection, must not look like one.
    """
    if len(payload) < _HEADER + 5 or payload[2] & 0xF8 or payload[4:10] != b"\0\1\0\0\0\0":
        return ""
    labels, at = [], _HEADER
    while at < len(payload) and payload[at]:
        size = payload[at]
        if size > 63 or at + size >= len(payload) or at > _HEADER + _NAME_LIMIT:
            return ""
        labels.append(payload[at + 1 : at + 1 + size].decode("ascii", "backslashreplace"))
        at += size + 1
    known_class = payload[at + 3 : at + 5] in (b"\0\1", b"\0\3", b"\0\xff")
    return ".".join(labels) if known_class else ""
