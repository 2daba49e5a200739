"""DNS: declared names lead to loopback, all others do not exist, and every question is recorded."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.egress_client import Guest, query


def test_a_declared_name_has_the_loopback_address(guest: Guest) -> None:
    """A: what getaddrinfo asks first."""
    reply = dns.message.from_wire(guest.question(query("API.lumen.example")))
    assert [str(item) for item in reply.answer] == ["API.lumen.example. 0 IN A 127.0.0.1"]
    effect = guest.effect()
    assert (effect["action"], effect["target"]) == ("resolve", "API.lumen.example.")
    assert effect["status"] == "done"
    assert effect["detail"] == {"type": "A", "transport": "udp", "size": 35}


@pytest.mark.parametrize("kind", ["AAAA", "HTTPS", "SVCB"])
def test_a_declared_name_has_nothing_else(guest: Guest, kind: str) -> None:
    """What clients ask beside A is answered as empty, so that they go on."""
    reply = dns.message.from_wire(guest.question(query("paste.example", kind)))
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize("kind", ["TXT", "NULL", "MX", "CNAME", "SRV", "ANY", "PTR", "AXFR"])
def test_types_that_carry_data_are_refused(guest: Guest, kind: str) -> None:
    """A declared name is no tunnel either."""
    reply = dns.message.from_wire(guest.question(query("paste.example", kind)))
    assert reply.rcode() == dns.rcode.REFUSED
    assert guest.refusal() == "a record type that no client needs"


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "a.paste.example",
        "example",
        ".",
        "localhost",
        "1.0.0.127.in-addr.arpa",
        "c2VjcmV0.c2VjcmV0.evil.example",
        "x" * 63 + ".paste.example",
        "paste.example.evil",
        "paste\\000.example",
        "paste\\.example",
        "a b.example",
        "\\255\\254.paste.example",
    ],
)
def test_no_other_name_exists(guest: Guest, name: str) -> None:
    """Names that are not declared, or that are dressed up, do not exist; the name is the record."""
    reply = dns.message.from_wire(guest.question(query(name)))
    assert reply.rcode() == dns.rcode.NXDOMAIN
    effect = guest.effect()
    assert effect["status"] == "denied"
    assert effect["target"].isascii()
    assert effect["detail"]["message"]


def test_another_class_is_refused(guest: Guest) -> None:
    """Chaosnet questions for a declared name are no way around."""
    asked = dns.message.make_query("paste.example", "A", "CH")
    assert dns.message.from_wire(guest.question(asked.to_wire())).rcode() == dns.rcode.REFUSED


def test_a_status_question_is_not_served(guest: Guest) -> None:
    """Only plain questions are."""
    raw = bytearray(query("paste.example"))
    raw[2] = 2 << 3
    assert guest.question(bytes(raw))[3] & 15 == dns.rcode.NOTIMP
    assert guest.effect()["status"] == "denied"


def test_what_is_no_message_gets_no_answer(guest: Guest) -> None:
    """Garbage is recorded with its bytes and dropped."""
    assert guest.question(b"\xff" * 40) == b""
    assert guest.effect()["detail"]["message"] == "/" * 53 + "w=="


def test_questions_come_over_tcp_as_well(guest: Guest) -> None:
    """Two questions in odd pieces get two answers, each with its length."""
    raw = b"".join(len(q).to_bytes(2, "big") + q for q in (query("paste.example"), query("evil.x")))
    client = guest.open(53)
    for at in range(0, len(raw), 7):
        client.send(raw[at : at + 7])
    first = int.from_bytes(client.got[:2], "big")
    replies = [client.got[2 : 2 + first], client.got[4 + first :]]
    codes = [dns.message.from_wire(reply).rcode() for reply in replies]
    assert codes == [dns.rcode.NOERROR, dns.rcode.NXDOMAIN]
    assert [e["detail"]["transport"] for e in guest.effects()] == ["tcp", "tcp"]


def test_garbage_over_tcp_ends_the_connection(guest: Guest) -> None:
    """No answer, an end, a record."""
    client = guest.open(53)
    client.send(b"\x00\x03abc")
    assert client.ended
    assert guest.effect()["status"] == "denied"


@given(st.binary(max_size=600))
def test_no_message_breaks_it(raw: bytes) -> None:
    """Any bytes are answered or dropped, and always recorded."""
    guest = Guest()
    guest.question(raw)
    assert guest.effect()["action"] == "resolve"


@given(st.data())
def test_no_bent_question_breaks_it(data: st.DataObject) -> None:
    """A sound question with bytes changed in it is answered or dropped, and recorded."""
    raw = bytearray(query("paste.example", "TXT"))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    guest = Guest()
    guest.question(bytes(raw))
    assert guest.effect()["kind"] == "network"
