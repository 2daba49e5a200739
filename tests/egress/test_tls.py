"""TLS: a certificate for the declared host that the client names, and for no other."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.egress import client_hello
from tests.support.egress_client import Client, Guest, TlsClient


def secure(guest: Guest, name: str | None, client: Client | None = None) -> TlsClient:
    """Return a client after its handshake."""
    made = TlsClient(client or guest.open(443), name, guest.egress.certificate)
    made.shake()
    return made


def get(host: str, path: str = "/") -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def first_flight(name: str) -> bytes:
    """Return the ClientHello of Python's TLS."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


@pytest.mark.parametrize("host", ["paste.example", "api.lumen.example", "b7.cdn.example"])
def test_a_declared_host_is_served_over_tls(guest: Guest, host: str) -> None:
    """The client verifies the chain and the name, as its own rules ask."""
    answer = secure(guest, host).ask(get(host))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert guest.effect()["target"] == f"https://{host}/"


def test_a_connection_serves_several_requests(guest: Guest) -> None:
    """Keep-alive inside TLS, a large answer included."""
    client = secure(guest, "b7.cdn.example")
    assert client.ask(get("b7.cdn.example")).endswith(b"cdn")
    big = client.ask(get("b7.cdn.example", "/big"))
    while len(big) < 600_000:
        more = client.ask(b"")
        assert more
        big += more
    assert [e["detail"]["path"] for e in guest.effects()] == ["/", "/big"]


def test_host_and_server_name_must_agree(guest: Guest) -> None:
    """Domain fronting: the name in the clear is not the one inside."""
    answer = secure(guest, "paste.example").ask(get("intranet.example", "/users"))
    assert answer.startswith(b"HTTP/1.1 421 ")
    effect = guest.effect()
    assert effect["detail"]["names"] == {"sni": "paste.example", "host": "intranet.example"}
    assert effect["detail"]["reason"] == "Host is another than that of SNI"


def test_a_tunnel_must_lead_to_the_server_name(guest: Guest) -> None:
    """CONNECT names one host, the TLS inside another."""
    client = guest.open(3128)
    client.send(b"CONNECT paste.example:443 HTTP/1.1\r\nHost: paste.example:443\r\n\r\n")
    client.got = b""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        secure(guest, "intranet.example", client)
    opened, denied = guest.effects()
    assert opened["status"] == "done"
    assert denied["detail"]["reason"] == "the server name is another than that of CONNECT"
    assert denied["detail"]["names"] == {"connect": "paste.example", "sni": "intranet.example"}


def test_a_tunnel_serves_tls(guest: Guest) -> None:
    """What a client with https_proxy set does."""
    client = guest.open(3128)
    client.send(b"CONNECT paste.example:443 HTTP/1.1\r\nHost: paste.example:443\r\n\r\n")
    assert client.got.startswith(b"HTTP/1.1 200 ")
    client.got = b""
    answer = secure(guest, "paste.example", client).ask(get("paste.example"))
    assert b"p-1" in answer


@pytest.mark.parametrize("name", ["evil.example", "x.paste.example", "example"])
def test_an_undeclared_server_name_is_refused(guest: Guest, name: str) -> None:
    """There is no certificate for it, and the record says who was asked for."""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        secure(guest, name)
    effect = guest.effect()
    assert (effect["action"], effect["status"]) == ("connect", "denied")
    assert (effect["target"], effect["detail"]["reason"]) == (f"{name}:443", "undeclared host")


def test_no_server_name_is_refused(guest: Guest) -> None:
    """A client that connects to an address names none."""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        secure(guest, None)
    assert guest.refusal() == "no server name (SNI)"


def test_a_client_that_trusts_nobody_here_is_an_attempt(guest: Guest) -> None:
    """A client that does not take the world's authority breaks off; nothing was sent."""
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(guest.open(443), "paste.example", None).shake()
    effect = guest.effect()
    assert (effect["status"], effect["target"]) == ("attempted", "paste.example:443")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: paste.example\r\n\r\n", "not TLS"),
        (b"\x80\x2e\x01\x00\x02", "not TLS"),
        (b"\x16\x03\x01\x00\x00", "not TLS"),
        (b"\x16\x03\x01\xff\xff", "not TLS"),
        (b"\x17\x03\x03\x00\x05hello", "not TLS"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "no ClientHello"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "a ClientHello that is shorter"),
    ],
)
def test_what_is_not_tls_is_refused(guest: Guest, raw: bytes, reason: str) -> None:
    """The client gets an alert and the record the reason."""
    client = guest.open(443)
    client.send(raw)
    assert client.ended
    assert guest.refusal().startswith(reason)


def test_an_endless_hello_is_refused(guest: Guest) -> None:
    """A ClientHello that says it is long is not waited for without bound."""
    client = guest.open(443)
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\0" * (2**14 - 4)
    client.send(record)
    client.send(b"\x16\x03\x01\x40\x00" + b"\0" * 2**14)
    assert guest.refusal() == "an over-long ClientHello"


@pytest.mark.parametrize("cut", [0, 1, 5, 60, 200])
def test_a_truncated_hello_is_an_attempt(guest: Guest, cut: int) -> None:
    """A client that breaks off in the middle is on the record."""
    client = guest.open(443)
    if cut:
        client.send(first_flight("paste.example")[:cut])
    client.end()
    assert guest.effect()["status"] == "attempted"


def test_a_hello_in_single_bytes_is_read(guest: Guest) -> None:
    """However a hello is cut, it names its server."""
    raw = first_flight("paste.example")
    found = [client_hello.server_names(raw[:size]) for size in range(len(raw) + 1)]
    assert found == [None] * len(raw) + [["paste.example"]]


def test_a_hello_over_several_records_is_read() -> None:
    """Records may cut a message anywhere."""
    body = first_flight("paste.example")[5:]
    pieces = [body[at : at + 9] for at in range(0, len(body), 9)]
    raw = b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in pieces)
    assert client_hello.server_names(raw) == ["paste.example"]


@pytest.mark.parametrize(
    "name", [b"paste.example\0.evil.example", b"p\xc3\xa4ste.example", b"127.0.0.1"]
)
def test_a_bent_server_name_is_refused(guest: Guest, name: bytes) -> None:
    """Names that no sound client can send are judged by the same rules."""
    sound = first_flight("a" * len(name))
    client = guest.open(443)
    client.send(sound.replace(b"a" * len(name), name))
    assert client.ended
    assert guest.effect()["detail"]["names"]["sni"].isascii()


def test_two_server_names_are_refused() -> None:
    """A list with two entries could be read in two ways."""
    sound = first_flight("a" * 23)
    two = b"\0\0\x0apaste.exam" + b"\0\0\x0apaste.exam"
    with pytest.raises(client_hello.NotTls, match="more than one server name"):
        client_hello.server_names(sound.replace(b"\0\0\x17" + b"a" * 23, two))


@given(st.data())
def test_no_bent_handshake_breaks_it(data: st.DataObject) -> None:
    """A sound hello with bytes changed in it is refused or goes on, never an error of the engine."""
    raw = bytearray(first_flight("paste.example"))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    guest = Guest()
    client = guest.open(443)
    client.send(bytes(raw))
    client.end()
    assert all(effect["status"] != "done" for effect in guest.effects())


@given(st.binary(max_size=200))
def test_garbage_after_a_handshake_is_refused(raw: bytes) -> None:
    """Bytes that are no record end the connection."""
    guest = Guest()
    client = guest.open(443)
    secure(guest, "paste.example", client)
    client.send(raw)
    client.end()
    assert client.ended


def test_certificates_are_of_this_run() -> None:
    """Two runs trust different authorities."""
    assert Guest().egress.certificate != Guest().egress.certificate
