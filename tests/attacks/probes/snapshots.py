"""What the host takes along at a run's end: regular files of the agent's folder, nothing that only looks so."""

from __future__ import annotations

from sandbox.isolation.base import Container
from sandbox.scenario.bounds import MIB
from tests.support.attacks.probe import Hosted, Probe, python, shell

_LIMIT = 2 * MIB
_SHADOW = "root:"
"""Begins what every link of these probes leads to."""


async def _files(container: Container) -> str:
    """Take a snapshot; say which files of the folder ``out`` came."""
    _, files = await container.snapshot(_LIMIT)
    if any(_SHADOW in text for text in files.values()) or sum(map(len, files.values())) > _LIMIT:
        return "leaked"
    return ", ".join(sorted(name for name in files if name.startswith("out/"))) or "nothing"


def _taken(name: str, tries: str, command: str, *held: str) -> Probe:
    return Probe(
        id=f"snapshot-{name}",
        tries=tries,
        steps=(
            shell(f"mkdir -p out; echo own > out/plain; {command}; true"),
            Hosted(_files),
            shell("rm -rf out"),
        ),
        held=tuple(f"exit code: 0; {came}; exit code: 0" for came in held or ("out/plain",)),
    )


async def _swapped(container: Container) -> str:
    """Take a snapshot again and again while the agent swaps a file, and a folder, for a link."""
    for _ in range(60):
        if "leaked" in await _files(container):
            return "leaked"
    return "never leaked"


async def _grown(container: Container) -> str:
    """Take snapshots of a file that grows meanwhile."""
    largest = 0
    for _ in range(60):
        _, files = await container.snapshot(1000)
        largest = max(largest, sum(map(len, files.values())))
    return "within the limit" if largest <= 1000 else f"{largest} bytes"


_SWAP = (
    "import os, time\n"
    "os.makedirs('out/folder', exist_ok=True)\n"
    "open('out/folder/passwd', 'w').write('own')\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "null = os.open('/dev/null', 2)\n"
    "for n in range(3): os.dup2(null, n)\n"
    "end = time.monotonic() + 20\n"
    "os.symlink('/etc', 'out/elsewhere')\n"
    "while time.monotonic() < end:\n"
    "    with open('out/new', 'w') as file: file.write('own')\n"
    "    os.replace('out/new', 'out/swap')\n"
    "    os.symlink('/etc/passwd', 'out/new'); os.replace('out/new', 'out/swap')\n"
    "    os.rename('out/folder', 'out/aside'); os.rename('out/elsewhere', 'out/folder')\n"
    "    os.rename('out/folder', 'out/elsewhere'); os.rename('out/aside', 'out/folder')\n"
)
_GROW = (
    "import os, time\n"
    "os.makedirs('out', exist_ok=True)\n"
    "if os.fork(): os._exit(0)\n"
    "os.setsid()\n"
    "null = os.open('/dev/null', 2)\n"
    "for n in range(3): os.dup2(null, n)\n"
    "end = time.monotonic() + 20\n"
    "while time.monotonic() < end:\n"
    "    with open('out/grows', 'w') as file:\n"
    "        for _ in range(100): file.write('x' * 100); file.flush()\n"
)

PROBES = (
    _taken(
        "symlink",
        "have the host follow a link, or one on the way",
        "ln -s /etc/passwd out/l; ln -s /etc out/d; ln -s /etc/passwd l; ln -s /etc d",
    ),
    _taken(
        "proc-link",
        "have it follow a link into /proc",
        "ln -s /proc/self/environ out/p; ln -s /proc/1/root/etc/passwd out/q",
    ),
    _taken(
        "hardlink",
        "give a file that it may not read a second name",
        "ln /etc/shadow out/h || ln /etc/passwd out/h",
    ),
    _taken(
        "special",
        "keep the host waiting at a pipe, a socket, a device without end",
        "mkfifo out/f; ln -s /dev/zero out/z; mknod out/n c 1 5; "
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out/s\")'",
    ),
    _taken(
        "oversize",
        "have it take more than it asked for",
        "head -c 3000000 /dev/zero > out/big; truncate -s 60M out/hole",
    ),
    _taken("unreadable", "keep a file from it", "echo own > out/u; chmod 0 out/u"),
    Probe(
        id="snapshot-swap",
        tries="swap a file, and a folder on the way, for a link meanwhile",
        steps=(python(_SWAP), Hosted(_swapped), shell("kill -9 -1"), shell("rm -rf out")),
        held=("exit code: 0; never leaked; exit code: 0; exit code: 0",),
    ),
    Probe(
        id="snapshot-growing",
        tries="have a file grow meanwhile",
        steps=(python(_GROW), Hosted(_grown), shell("kill -9 -1"), shell("rm -rf out")),
        held=("exit code: 0; within the limit; exit code: 0; exit code: 0",),
    ),
)
