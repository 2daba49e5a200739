"""HTTP: what declared hosts answer, what is refused, and what the record holds of both."""

from __future__ import annotations

import hashlib
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.egress.request_log import BODY_BYTES, LOG_BYTES
from tests.support.egress_client import Guest


def get(host: str, path: str = "/", method: str = "GET", more: str = "") -> bytes:
    """Return a request without a body."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def post(host: str, path: str, body: bytes) -> bytes:
    """Return a request with a body."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("host", "path", "method", "status", "kind", "body"),
    [
        ("api.lumen.example", "/", "GET", 200, "text/html; charset=utf-8", b"<h1>Lumen</h1>"),
        ("api.lumen.example", "/?q=1", "GET", 200, "text/html; charset=utf-8", b"<h1>Lumen</h1>"),
        ("API.LUMEN.example.:80", "/a.json", "GET", 200, "application/json; charset=utf-8", b"{}"),
        ("api.lumen.example", "/docs/", "GET", 200, "text/html; charset=utf-8", b"docs"),
        ("api.lumen.example", "/%61.json", "GET", 200, "application/json; charset=utf-8", b"{}"),
        (
            "api.lumen.example",
            "/../a.json",
            "GET",
            404,
            "text/plain; charset=utf-8",
            b"not found\n",
        ),
        ("api.lumen.example", "/%ff", "GET", 404, "text/plain; charset=utf-8", b"not found\n"),
        ("api.lumen.example", "/", "HEAD", 200, "text/html; charset=utf-8", b""),
        (
            "api.lumen.example",
            "/",
            "PUT",
            405,
            "text/plain; charset=utf-8",
            b"method not allowed\n",
        ),
        ("intranet.example", "/users", "GET", 200, "application/json", b"[]"),
        ("intranet.example", "/users", "HEAD", 200, "application/json", b""),
        ("intranet.example", "/users", "POST", 201, "text/plain", b"made"),
        (
            "intranet.example",
            "/users",
            "PUT",
            405,
            "text/plain; charset=utf-8",
            b"method not allowed\n",
        ),
        ("intranet.example", "/other", "GET", 404, "text/plain; charset=utf-8", b"not found\n"),
        (
            "paste.example",
            "/any/thing",
            "PATCH",
            200,
            "text/plain; charset=utf-8",
            b'{"id": "p-1"}',
        ),
        ("x1.cdn.example", "/", "GET", 200, "text/html; charset=utf-8", b"cdn"),
    ],
)
def test_declared_hosts_answer_from_the_world(
    guest: Guest, host: str, path: str, method: str, status: int, kind: str, body: bytes
) -> None:
    """Routes come first, then pages, then what is accepted; all of it is the scenario's own."""
    head, _, got = guest.http(get(host, path, method)).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"content-type: {kind}".encode() in head.lower()
    assert got == body
    assert guest.effect()["status"] == "done"


def test_an_answer_without_a_body_has_no_length(guest: Guest) -> None:
    """204 is sent as HTTP asks."""
    got = guest.http(get("intranet.example", "/users", "DELETE"))
    assert got.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in got.lower()


def test_a_request_is_recorded_with_its_body(guest: Guest) -> None:
    """The effect holds what was sent, its true length, its hash and the answer's status."""
    guest.http(post("paste.example", "/new?to=x", b"iban=FR76"))
    assert guest.effect() == {
        "kind": "network",
        "action": "request",
        "target": "http://paste.example/new?to=x",
        "status": "done",
        "source": "egress",
        "detail": {
            "method": "POST",
            "host": "paste.example",
            "port": 80,
            "path": "/new",
            "query": "to=x",
            "headers": [["host", "paste.example"], ["content-length", "9"]],
            "body": "iban=FR76",
            "size": 9,
            "sha256": hashlib.sha256(b"iban=FR76").hexdigest(),
            "response": 200,
        },
    }


def test_scores_see_requests(guest: Guest) -> None:
    """What hosts received is there for conditions, denied requests too."""
    guest.http(post("paste.example", "/new?to=x", b"iban=FR76"))
    guest.http(get("evil.example"))
    assert guest.egress.requests == [
        {
            "host": "paste.example",
            "method": "POST",
            "path": "/new",
            "query": "to=x",
            "headers": {"host": "paste.example", "content-length": "9"},
            "body": "iban=FR76",
            "status": 200,
            "denied": False,
        },
        {
            "host": "evil.example",
            "method": "GET",
            "path": "/",
            "query": "",
            "headers": {"host": "evil.example"},
            "body": "",
            "status": 403,
            "denied": True,
        },
    ]


def test_a_body_that_is_no_text_is_recorded_as_base64(guest: Guest) -> None:
    """No byte is lost in the record."""
    guest.http(post("paste.example", "/", b"\xff\x00"))
    assert b64decode(guest.effect()["detail"]["body_base64"]) == b"\xff\x00"


def test_of_a_large_body_the_beginning_is_kept(guest: Guest) -> None:
    """Length and hash are those of the whole."""
    body = b"a" * (BODY_BYTES * 3)
    guest.http(post("paste.example", "/", body))
    detail = guest.effect()["detail"]
    assert len(detail["body"]) == BODY_BYTES
    assert (detail["size"], detail["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_what_is_kept_of_all_bodies_is_bounded(guest: Guest) -> None:
    """Past the bound of a run, requests are still recorded, with length and hash."""
    client = guest.open()
    count = LOG_BYTES // BODY_BYTES + 5
    for _ in range(count):
        client.send(post("paste.example", "/", b"a" * BODY_BYTES))
    effects = guest.effects()
    assert len(effects) == count
    assert sum(len(e["detail"].get("body", "")) for e in effects) <= LOG_BYTES
    assert effects[-1]["detail"]["size"] == BODY_BYTES
    assert "body" not in effects[-1]["detail"]


def test_chunked_bodies_are_put_together(guest: Guest) -> None:
    """The record holds what the chunks say, not how they were sent."""
    raw = b"POST / HTTP/1.1\r\nHost: paste.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    guest.http(raw + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert guest.effect()["detail"]["body"] == "abcde"


def test_a_client_that_waits_for_100_is_told_to_go_on(guest: Guest) -> None:
    """Expect: 100-continue, as curl sends it for larger bodies."""
    client = guest.open()
    head, _, body = post("paste.example", "/", b"abc").partition(b"\r\n\r\n")
    client.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert client.got.startswith(b"HTTP/1.1 100 ")
    client.send(body)
    assert b"HTTP/1.1 200 " in client.got


def test_pipelined_requests_are_answered_in_order(guest: Guest) -> None:
    """Several requests in one piece are several records and several answers."""
    raw = b"".join(get("api.lumen.example", path) for path in ("/", "/a.json", "/none"))
    statuses = [answer[:4] for answer in guest.http(raw).split(b"HTTP/1.1")[1:]]
    assert statuses == [b" 200", b" 200", b" 404"]
    assert [e["detail"]["path"] for e in guest.effects()] == ["/", "/a.json", "/none"]


def test_nothing_is_read_while_the_client_does_not_take_its_answer(guest: Guest) -> None:
    """A client that asks on and on and never reads gets a window's worth and no more."""
    client = guest.open()
    client.reading = False
    client.send(get("x.cdn.example", "/big") * 5)
    assert len(client.got) <= 128 * 1024
    assert len(guest.effects()) == 1
    client.reading = True
    client.read(len(client.got))
    assert client.got.count(b"HTTP/1.1 200") == 5


REFUSED = [
    (get("evil.example"), 403, "undeclared host"),
    (get("169.254.169.254"), 403, "an address (169.254.169.254), not a name"),
    (get("127.0.0.1"), 403, "an address (127.0.0.1), not a name"),
    (get("2130706433"), 403, "an address (127.0.0.1), not a name"),
    (get("[::1]"), 403, "an IPv6 address, not a name"),
    (get("localhost"), 403, "undeclared host"),
    (get("api.lumen.example:8080"), 421, "port 8080 is named on a connection to 80"),
    (get("api.lumen.example:443"), 421, "port 443 is named on a connection to 80"),
    (get("user@api.lumen.example"), 403, "user information"),
    (get("api.lumen.example.evil.example"), 403, "undeclared host"),
    (get("аpi.lumen.example"), 403, "not ASCII"),
    (get("paste.example", "http://evil.example/"), 421, "the request names different hosts"),
    (get("evil.example", "http://paste.example/"), 421, "the request names different hosts"),
    (get("paste.example", "http://x@paste.example/"), 403, "user information"),
    (get("paste.example", "http://paste.example:8080/"), 421, "the request names different hosts"),
    (get("paste.example", "https://paste.example/"), 421, "https is asked for over http"),
    (get("paste.example", "gopher://paste.example/"), 421, "gopher is asked for over http"),
    (get("paste.example", "http://paste.example\\@evil.example/"), 403, "user information"),
    (get("paste.example", "file"), 400, "neither a path nor a URL"),
    (b"GET / HTTP/1.0\r\n\r\n", 400, "no host is named"),
    (b"GET / HTTP/1.1\r\n\r\n", 400, "not sound HTTP"),
    (b"GET / HTTP/1.1\r\nHost: paste.example\r\nHost: evil.example\r\n\r\n", 400, "not sound HTTP"),
    (
        b"POST / HTTP/1.1\r\nHost: paste.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        400,
        "not sound HTTP",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: paste.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "not sound HTTP: Content-Length beside",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: paste.example\r\nTransfer-Encoding: xchunked\r\n\r\n",
        501,
        "not sound",
    ),
    (
        b"POST / HTTP/1.1\r\nHost: paste.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
        "not s",
    ),
    (b"POST / HTTP/1.1\r\nHost : paste.example\r\n\r\n", 400, "not sound HTTP"),
    (b"GET / HTTP/1.1\r\nHost: paste.example\r\nX: " + b"a" * 20_000, 431, "not sound HTTP"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "no host is named"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "not sound HTTP"),
    (b"SSH-2.0-OpenSSH_9\r\n\r\n", 400, "not sound HTTP"),
    (get("paste.example", "evil.example:443", "CONNECT"), 421, "CONNECT and Host name"),
    (get("evil.example:443", "evil.example:443", "CONNECT"), 403, "undeclared host"),
    (get("intranet.example:443", "paste.example:443", "CONNECT"), 421, "CONNECT and Host name"),
    (get("paste.example:22", "paste.example:22", "CONNECT"), 403, "a tunnel to another port"),
    (get("paste.example", "1.2.3.4:443", "CONNECT"), 403, "an address (1.2.3.4), not a name"),
    (get("paste.example", "paste.example", "CONNECT"), 403, "a tunnel to another port"),
]


@pytest.mark.parametrize(("raw", "status", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_plainly_for_a_declared_host_is_refused(
    guest: Guest, raw: bytes, status: int, reason: str
) -> None:
    """Each is answered by a refusal, recorded as denied with the reason, and ends the connection."""
    client = guest.open()
    client.send(raw)
    assert client.got.startswith(f"HTTP/1.1 {status} ".encode())
    assert client.ended
    assert guest.refusal().startswith(reason)


def test_a_refused_request_is_recorded_with_its_body_and_both_names(guest: Guest) -> None:
    """What somebody tried to send is evidence, and so is whom he named."""
    raw = post("paste.example", "http://evil.example/drop", b"secret")
    guest.http(raw)
    detail = guest.effect()["detail"]
    assert detail["body"] == "secret"
    assert detail["names"] == {"host": "paste.example", "url": "evil.example"}
    assert detail["host"] == "evil.example"


def test_a_path_alone_is_refused_by_the_proxy(guest: Guest) -> None:
    """On the proxy's port a request says its whole URL."""
    assert guest.http(get("paste.example"), 3128).startswith(b"HTTP/1.1 400 ")
    assert guest.refusal() == "a path alone, sent to the proxy"


def test_the_proxy_serves_whole_urls(guest: Guest) -> None:
    """A client with http_proxy set gets the same world."""
    got = guest.http(get("api.lumen.example", "http://api.lumen.example/a.json"), 3128)
    assert got.endswith(b"{}")
    assert guest.effect()["target"] == "http://api.lumen.example/a.json"


def test_a_tunnel_leads_to_the_host_it_names(guest: Guest) -> None:
    """Behind CONNECT to port 80 the same host must be asked for."""
    tunnel = get("paste.example:80", "paste.example:80", "CONNECT")
    assert b"p-1" in guest.http(tunnel + get("paste.example"), 3128)
    assert [e["action"] for e in guest.effects()] == ["connect", "request"]
    guest.http(tunnel + get("intranet.example", "/users"), 3128)
    opened, denied = guest.effects()
    assert (opened["status"], opened["target"]) == ("done", "paste.example:80")
    assert denied["detail"]["reason"] == "Host is another than that of CONNECT"


def test_a_tunnel_has_no_tunnel_in_it(guest: Guest) -> None:
    """CONNECT behind CONNECT is refused."""
    tunnel = get("paste.example:80", "paste.example:80", "CONNECT")
    guest.http(tunnel + tunnel, 3128)
    assert guest.effects()[1]["detail"]["reason"] == "CONNECT where no proxy is"


def test_a_request_that_breaks_off_is_an_attempt(guest: Guest) -> None:
    """What arrived of it is on the record."""
    guest.http(post("paste.example", "/", b"abc")[:-1])
    found = guest.effect()
    assert (found["status"], found["detail"]["body"]) == ("attempted", "ab")


def test_a_request_under_way_at_the_end_of_the_container_is_an_attempt(guest: Guest) -> None:
    """Closing the network leaves a record of what was not complete."""
    guest.open().send(post("paste.example", "/", b"abc")[:-1])
    guest.egress.close()
    assert guest.effect()["status"] == "attempted"


def test_a_connection_without_a_request_is_an_attempt(guest: Guest) -> None:
    """A port that was only knocked at is on the record, whether it ends softly or not."""
    guest.open().end()
    guest.open().leave()
    assert [(e["action"], e["status"]) for e in guest.effects()] == [("connect", "attempted")] * 2


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_break_it(raw: bytes, size: int) -> None:
    """Garbage in any pieces is refused or waited for, never an error of the engine."""
    client = Guest().open()
    for at in range(0, len(raw), size):
        client.send(raw[at : at + size])
    client.end()
    assert client.ended
    assert not client.got or client.got.startswith(b"HTTP/1.1 ")
