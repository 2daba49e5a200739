"""DNS for a world: its own names lead to the container's loopback, no other name exists.

A question is itself a message to whoever runs the name's server, so every one is recorded, and the
record types in which data is usually carried are refused for declared names as well.
"""

from __future__ import annotations

import struct

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.exception import DNSException
from dns.flags import Flag
from dns.opcode import Opcode

from sandbox.egress.hostnames import DeclaredHosts, HostnameError, normalise
from sandbox.egress.request_log import RequestLog

ADDRESS = "127.0.0.1"
MESSAGE_LIMIT = 4096
"""Bytes of a question; no resolver asks in more."""
_EMPTY = frozenset({"AAAA", "HTTPS", "SVCB"})
"""Types that a client asks for beside A; a declared name has none of them."""


class Resolver:
    """Answers questions."""

    def __init__(self, hosts: DeclaredHosts, log: RequestLog) -> None:
        self._hosts = hosts
        self._log = log

    def answer(self, raw: bytes, transport: str = "udp") -> bytes:
        """Return the answer to a message; nothing if it cannot even be refused.

        Args:
            raw: The message, without the length that goes before it in TCP.
            transport: ``udp`` or ``tcp``, for the record.
        """
        try:
            query = dns.message.from_wire(
                raw[:MESSAGE_LIMIT], question_only=True, ignore_trailing=True
            )
            reply = dns.message.make_response(query)
        except (DNSException, ValueError, IndexError, struct.error) as error:
            reason = f"no DNS question: {str(error) or type(error).__name__}"
            self._log.question("", "", transport, raw, reason)
            return b""
        name = kind = ""
        if query.opcode() != Opcode.QUERY or len(query.question) != 1:
            code, reason = dns.rcode.NOTIMP, "no plain question"
        else:
            question = query.question[0]
            name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
            code, reason = self._judge(name, kind, question.rdclass)
            reply.flags |= Flag.AA | Flag.RA
            if kind == "A" and not reason:
                reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", ADDRESS))
        reply.set_rcode(code)
        self._log.question(name, kind, transport, raw, reason)
        return reply.to_wire()

    def _judge(self, name: str, kind: str, of: int) -> tuple[dns.rcode.Rcode, str]:
        """Return how a question is answered, and why it is refused, if it is."""
        try:
            self._hosts.find(normalise(name))
        except HostnameError as error:
            return dns.rcode.NXDOMAIN, str(error)
        if of == dns.rdataclass.IN and kind in ("A", *_EMPTY):
            return dns.rcode.NOERROR, ""
        return dns.rcode.REFUSED, "a record type that no client needs"


class TcpQuestions:
    """Questions over one TCP connection: each with its length in front."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._inbox = bytearray()
        self._answers = bytearray()
        self.finished = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._inbox += data
        while len(self._inbox) >= 2 and not self.finished:
            size = int.from_bytes(self._inbox[:2], "big")
            if len(self._inbox) < 2 + size:
                break
            answer = self._resolver.answer(bytes(self._inbox[2 : 2 + size]), "tcp")
            del self._inbox[: 2 + size]
            self._answers += len(answer).to_bytes(2, "big") + answer if answer else b""
            self.finished = not answer

    def end(self) -> None:
        """End after the client's last byte."""
        self.finished = True

    def output(self, most: int) -> bytes:
        """Return at most so many bytes of answers."""
        out = bytes(self._answers[:most])
        del self._answers[:most]
        return out
