"""DNS for a world: its own names lead to the container's loopback, no other name exists.

A question is itself a message to whoever runs the name's server, so every one is recorded, and the
record types in which data is usually carried are refused for declared names as well.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sandbox.egress.hostnames import Declared, NameRefused, normalise
from sandbox.egress.request_log import Journal
from sandbox.enums import EffectStatus

if TYPE_CHECKING:
    import dns.message

ADDRESS = "127.0.0.1"
MESSAGE_LIMIT = 4096
"""Bytes of a question; no resolver asks in more."""
_EMPTY = frozenset({"AAAA", "HTTPS", "SVCB"})
"""Types that a client asks for beside A; a declared name has none of them."""


class Resolver:
    """Answers questions."""

    def __init__(self, declared: Declared, journal: Journal) -> None:
        self._declared = declared
        self._journal = journal

    def answer(self, raw: bytes, transport: str = "udp") -> bytes:
        """Return the answer to a message; nothing where it cannot even be refused.

        Args:
            raw: The message, without the length that goes before it in TCP.
            transport: ``udp`` or ``tcp``, for the record.
        """
        import dns.exception
        import dns.flags
        import dns.message
        import dns.opcode
        import dns.rcode

        try:
            asked = dns.message.from_wire(
                raw[:MESSAGE_LIMIT], question_only=True, ignore_trailing=True
            )
            reply = dns.message.make_response(asked)
        except (dns.exception.DNSException, ValueError, IndexError, struct.error) as error:
            reason = str(error) or type(error).__name__
            self._journal.question(
                "", "", transport, raw, EffectStatus.DENIED, f"no DNS question: {reason}"
            )
            return b""
        if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
            self._journal.question("", "", transport, raw, EffectStatus.DENIED, "no plain question")
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply.to_wire()
        reply.flags |= dns.flags.AA | dns.flags.RA
        self._fill(asked, reply, transport, raw)
        return reply.to_wire()

    def _fill(
        self,
        asked: dns.message.Message,
        reply: dns.message.Message,
        transport: str,
        raw: bytes,
    ) -> None:
        import dns.rcode
        import dns.rdataclass
        import dns.rdatatype
        import dns.rrset

        question = asked.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        try:
            self._declared.find(normalise(name))
        except NameRefused as refused:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            self._journal.question(name, kind, transport, raw, EffectStatus.DENIED, str(refused))
            return
        usual = question.rdclass == dns.rdataclass.IN
        if usual and kind == "A":
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", ADDRESS))
        elif not (usual and kind in _EMPTY):
            reply.set_rcode(dns.rcode.REFUSED)
            reason = "a record type that no client needs"
            self._journal.question(name, kind, transport, raw, EffectStatus.DENIED, reason)
            return
        self._journal.question(name, kind, transport, raw, EffectStatus.DONE, "")


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
        """Take it that the client sends no more."""
        self.finished = True

    def output(self, most: int) -> bytes:
        """Return at most so many bytes of answers."""
        out = bytes(self._answers[:most])
        del self._answers[:most]
        return out
