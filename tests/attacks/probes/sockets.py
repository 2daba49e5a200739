"""Sockets of the host that would hand over the machine: engine, message bus, keys."""

from __future__ import annotations

from tests.support.attacks import honeypot
from tests.support.attacks.probe import Probe, Record, python, shell

_ABSENT = ("ENOENT", "ECONNREFUSED", "EACCES", "EPERM")


def _reached(name: str, tries: str, *addresses: str, recorded: bool = True) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(
            python(
                "import socket\n"
                f"for address in {addresses!r}:\n"
                "    s = socket.socket(socket.AF_UNIX); s.settimeout(1)\n"
                "    tell(s.connect, address)"
            ),
        ),
        held=_ABSENT,
        record=tuple(
            Record(
                "network",
                "connect",
                f"*{a.strip(chr(0)).replace(honeypot.MARK, '*')}",
                ("attempted", "denied"),
            )
            for a in addresses
            if recorded
        ),
    )


PROBES = (
    _reached(
        "docker-socket",
        "ask the engine for a container of its own",
        "/var/run/docker.sock",
        "/run/docker.sock",
    ),
    _reached(
        "containerd-socket",
        "ask containerd",
        "/run/containerd/containerd.sock",
        "/var/run/docker/containerd/containerd.sock",
    ),
    _reached(
        "podman-socket",
        "ask other engines",
        "/run/podman/podman.sock",
        "/run/crio/crio.sock",
        "/run/user/1000/podman/podman.sock",
    ),
    _reached(
        "dbus",
        "ask the system's and the session's message bus",
        "/run/dbus/system_bus_socket",
        "/run/user/1000/bus",
        "/run/user/0/bus",
    ),
    _reached(
        "systemd-socket", "ask the service manager", "/run/systemd/private", "/run/systemd/notify"
    ),
    _reached("ssh-agent", "sign with the keys of whoever started the sandbox", honeypot.SOCKET),
    _reached("abstract-socket", "reach a service that has no path", f"\0{honeypot.ABSTRACT}"),
    _reached(
        "display",
        "reach the screen, which shows and types",
        "/tmp/.X11-unix/X0",
        "\0/tmp/.X11-unix/X0",
        "/run/user/1000/wayland-0",
    ),
    Probe(
        id="agent-variable",
        tries="find sockets by the variables that name them",
        steps=(shell("env | grep -E '(SOCK|DBUS|DISPLAY|DOCKER|PROXY|proxy)' || echo none"),),
        held=("none",),
    ),
    Probe(
        id="known-sockets",
        tries="list sockets of others that have a name or listen",
        # the guest's own to its spawner is one of a pair: nobody can connect to it
        steps=(
            python(
                "lines = [line.split() for line in open('/proc/net/unix').readlines()[1:]]\n"
                "print(sum(len(line) > 7 or int(line[3], 16) & 0x10000 > 0 for line in lines))"
            ),
        ),
        held=("0",),
    ),
    Probe(
        id="passed-descriptor",
        tries="take a descriptor from a sibling container by a socket (SCM_RIGHTS)",
        beside=(
            shell(
                '(python3 -c "import os, socket, time\n'
                "s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'attacks-meet'); s.listen()\n"
                "s.settimeout(60); c = s.accept()[0]\n"
                "socket.send_fds(c, [b'x'], [os.open('/work', os.O_RDONLY)]); time.sleep(9)\" >/dev/null 2>&1 &)"
            ),
        ),
        steps=(
            python(
                "import socket\n"
                "def take():\n"
                "    s = socket.socket(socket.AF_UNIX); s.connect('\\0attacks-meet'); s.settimeout(2)\n"
                "    return socket.recv_fds(s, 1, 1)[1][0]\n"
                "tell(take)"
            ),
        ),
        held=("ECONNREFUSED",),
    ),
)
