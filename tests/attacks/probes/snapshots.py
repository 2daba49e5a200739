"""What the host copies out: regular files below the agent's folder, and nothing that only looks so."""

from __future__ import annotations

from sandbox.errors import IsolationError
from sandbox.isolation.base import MIB, Container
from tests.support.attacks.probe import Hosted, Probe, python, shell

_LIMIT = 2 * MIB
_SECRET = b"root:"
"""Begins what every link of these probes leads to."""


def _taken(*paths: str) -> Hosted:
    """Return the act of copying files out; it says what came, or that it was refused."""

    async def take(container: Container) -> str:
        came = set()
        for path in paths:
            try:
                data = await container.copy_out(path, _LIMIT)
            except IsolationError:
                came.add("refused")
            else:
                came.add("leaked" if _SECRET in data else "came out")
        return ", ".join(sorted(came))

    return Hosted(take)


def _copied(name: str, tries: str, command: str, *paths: str, held: str = "refused") -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(shell(f"mkdir -p out; {command}; true"), _taken(*paths), shell("rm -rf out")),
        held=(f"exit code: 0; {held}; exit code: 0",),
    )


async def _swapped(container: Container) -> str:
    """Copy a file out again and again while the agent swaps it for a link."""
    came = set()
    for _ in range(300):
        for path in ("out/swap", "out/folder/passwd"):
            try:
                data = await container.copy_out(path, _LIMIT)
            except IsolationError:
                continue
            came.add("leaked" if _SECRET in data else "")
    return "leaked" if "leaked" in came else "never leaked"


async def _grown(container: Container) -> str:
    """Copy out a file that grows meanwhile."""
    largest = 0
    for _ in range(100):
        try:
            largest = max(largest, len(await container.copy_out("out/grows", 1000)))
        except IsolationError:
            continue
    return "within the limit" if largest <= 1000 else f"{largest} bytes"


async def _snapshot(container: Container) -> str:
    _, files = await container.snapshot(_LIMIT)
    text = "".join(files.values())
    whole = sum(map(len, files.values())) <= _LIMIT and "root:" not in text
    return "regular files only" if whole and "out/plain" in files else "leaked"


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
    _copied("copy-symlink", "have the host follow a link", "ln -s /etc/passwd out/l", "out/l"),
    _copied(
        "copy-symlinked-folder",
        "have it follow a link on the way",
        "ln -s /etc out/d",
        "out/d/passwd",
    ),
    _copied(
        "copy-proc-link",
        "have it follow a link into /proc",
        "ln -s /proc/self/environ out/p; ln -s /proc/1/root/etc/passwd out/q",
        "out/p",
        "out/q",
    ),
    _copied(
        "copy-hardlink",
        "give a file that it may not read a second name",
        "ln /etc/shadow out/h || ln /etc/passwd out/h || touch out/none",
        "out/h",
    ),
    _copied("copy-fifo", "keep the host waiting at a pipe", "mkfifo out/f", "out/f"),
    _copied(
        "copy-socket",
        "have it open a socket",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"out/s\")'",
        "out/s",
    ),
    _copied(
        "copy-device",
        "have it read a device without end",
        "ln -s /dev/zero out/z; mknod out/n c 1 5",
        "out/z",
        "out/n",
        "/dev/zero",
    ),
    _copied("copy-folder", "have it read a folder", "mkdir out/x", "out/x", "out", "."),
    _copied(
        "copy-traversal",
        "name a file outside the folder",
        "true",
        "../etc/passwd",
        "/etc/passwd",
        "out/../../etc/passwd",
        "/work/../etc/passwd",
        "",
        "\0",
    ),
    _copied(
        "copy-oversize",
        "have it take more than it asked for",
        "head -c 3000000 /dev/zero > out/big",
        "out/big",
    ),
    _copied(
        "copy-sparse",
        "have it take a file that is all hole",
        "truncate -s 60M out/hole",
        "out/hole",
    ),
    _copied("copy-unreadable", "keep a file from it", "echo own > out/u; chmod 0 out/u", "out/u"),
    Probe(
        id="copy-swap",
        tries="swap a file, and a folder on the way, for a link during the copy",
        steps=(python(_SWAP), Hosted(_swapped), shell("kill -9 -1"), shell("rm -rf out")),
        held=("exit code: 0; never leaked; exit code: 0; exit code: 0",),
    ),
    Probe(
        id="copy-growing",
        tries="have a file grow during the copy",
        steps=(python(_GROW), Hosted(_grown), shell("kill -9 -1"), shell("rm -rf out")),
        held=("exit code: 0; within the limit; exit code: 0; exit code: 0",),
    ),
    Probe(
        id="copy-snapshot",
        tries="have all of it taken along at the end of the run",
        steps=(
            shell(
                "mkdir -p out; echo own > out/plain; ln -s /etc/passwd out/l; ln -s /etc out/d; mkfifo out/f; "
                "truncate -s 60M out/hole; ln -s /dev/zero out/z; chmod 700 out"
            ),
            Hosted(_snapshot),
            shell("rm -rf out"),
        ),
        held=("exit code: 0; regular files only; exit code: 0",),
    ),
)
