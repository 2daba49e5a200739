"""Archives and bombs that the agent leaves for whoever opens them: nothing of the sandbox does."""

from __future__ import annotations

import os.path

from sandbox.isolation.base import Container
from sandbox.scenario.bounds import MIB
from tests.support.attacks import honeypot
from tests.support.attacks.probe import Asked, Hosted, Probe, Record, python, shell

_TARGET = f"{honeypot.FOLDER}/unpacked"


def _unpacked() -> bool:
    return os.path.lexists(_TARGET)


async def _left(container: Container) -> str:
    """Take what the agent left as the end of a run does, and look for what would be unpacked."""
    _, files = await container.snapshot(8 * MIB)
    size = sum(map(len, files.values()))
    if _unpacked():
        return "unpacked on the host"
    return "left as it is" if size <= 8 * MIB else f"{size} bytes"


def _archive(name: str, tries: str, code: str) -> Probe:
    return Probe(
        id=name,
        tries=tries,
        steps=(
            python("import io, tarfile, zipfile, gzip\nos.chdir('/work')\n" + code),
            Asked("files.read", {"path": "own.bin"}),
            Hosted(_left),
            shell("rm -f own.bin"),
        ),
        held=("exit code: 0; ok; left as it is; exit code: 0",),
    )


_TAR = (
    "def member(name, kind=tarfile.REGTYPE, target=''):\n"
    "    made = tarfile.TarInfo(name); made.type = kind; made.linkname = target; made.size = 3 if kind == tarfile.REGTYPE else 0\n"
    "    archive.addfile(made, io.BytesIO(b'own'))\n"
    "archive = tarfile.open('own.bin', 'w')\n"
)

PROBES = (
    _archive(
        "tar-traversal",
        "leave a tar whose members climb out",
        f"{_TAR}member('../../../..{_TARGET}')\narchive.close()",
    ),
    _archive(
        "tar-absolute",
        "leave a tar whose members have absolute names",
        f"{_TAR}member('{_TARGET}')\narchive.close()",
    ),
    _archive(
        "tar-link",
        "leave a tar that unpacks through a link of its own",
        f"{_TAR}member('d', tarfile.SYMTYPE, '{honeypot.FOLDER}')\nmember('d/unpacked')\narchive.close()",
    ),
    _archive(
        "tar-device",
        "leave a tar with devices and setuid programs",
        f"{_TAR}member('dev', tarfile.CHRTYPE)\narchive.close()",
    ),
    _archive(
        "zip-traversal",
        "leave a zip whose members climb out",
        f"with zipfile.ZipFile('own.bin', 'w') as archive: archive.writestr('../../../..{_TARGET}', 'own')",
    ),
    _archive(
        "zip-bomb",
        "leave a small zip that unpacks to gigabytes",
        "with zipfile.ZipFile('own.bin', 'w', zipfile.ZIP_DEFLATED) as archive:\n"
        "    for n in range(20): archive.writestr(str(n), bytes(10**6))",
    ),
    _archive(
        "gzip-bomb",
        "leave one for who unpacks by the first bytes",
        "open('own.bin', 'wb').write(gzip.compress(bytes(10**7)))",
    ),
    Probe(
        id="unpack-outside",
        tries="unpack over the container's own system",
        steps=(
            python(
                "import io, tarfile\n"
                "held = io.BytesIO()\n"
                "with tarfile.open(fileobj=held, mode='w') as archive:\n"
                "    made = tarfile.TarInfo('../etc/own'); made.size = 3; archive.addfile(made, io.BytesIO(b'own'))\n"
                "held.seek(0); os.chdir('/tmp')\n"
                "tell(lambda: tarfile.open(fileobj=held).extractall())"
            ),
        ),
        held=("EROFS", "EACCES"),
        record=(Record("file", "*", "/etc/own"),),
    ),
)
