"""Bombs and floods: bounded, told apart from a time-out, and survived by the guest."""

from __future__ import annotations

from dataclasses import replace

from sandbox.scenario.bounds import MIB, Bounds
from tests.support.attacks.probe import Asked, Differs, Probe, Seen, python, shell

SMALL = Bounds(
    memory_bytes=160 * MIB,
    processes=40,
    tmpfs_bytes=8 * MIB,
    tmpfs_inodes=300,
    file_bytes=4 * MIB,
    files=64,
)
"""Small bounds for bombs; one container bears most of them, one after the other."""
ALIVE = shell("echo fine")
_FULL = "ENOSPC"

_ENDS = "Where its runtime ignores cgroups, one around all of gVisor bounds it: the container ends and says why."
_UNCOUNTED = Differs(
    ("time-out; fine", "allowed; fine", "ENAMETOOLONG; fine"),
    "Its tmpfs does not count inodes: memory bounds the files, and time.",
)


def _bomb(name: str, tries: str, code: Asked, *held: str, ends: bool = False) -> Probe:
    expected = tuple(f"{ended}; fine" for ended in held)
    return Probe(
        id=name,
        tries=tries,
        steps=(code, ALIVE),
        held=expected,
        bounds=SMALL,
        differs={"gvisor": Differs((*expected, "fault; no answer"), _ENDS)} if ends else {},
        alone=ends,
    )


def _filled(
    name: str, tries: str, code: str, *, counted: bool = False, alone: bool = False
) -> Probe:
    wipe = "os.system('rm -rf /work/fill /tmp/fill')\n"
    filling = python(f"os.chdir('/work')\n{wipe}{code}\n{wipe}")
    made = replace(_bomb(name, tries, filling, _FULL, "EFBIG"), alone=alone)
    return replace(made, differs={"gvisor": _UNCOUNTED}) if counted else made


def _cut(seen: Seen) -> str:
    """Tell whether what was returned is bounded and says that something was left out."""
    whole = len(seen.text) < 150_000 and "bytes left out" in seen.text
    return f"bounded, {seen.answers[0]}" if whole else f"{len(seen.text)} characters"


PROBES = (
    _bomb(
        "fork-bomb",
        "fork until nothing else runs",
        python(
            "import signal\n"
            "children = []\n"
            "try:\n"
            "    while len(children) < 5000:\n"
            "        pid = os.fork()\n"
            "        if not pid: signal.pause()\n"
            "        children.append(pid)\n"
            "except OSError as error: print(name(error) if len(children) < 100 else len(children))\n"
            "for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)"
        ),
        "EAGAIN",
    ),
    _bomb(
        "fork-bomb-endless",
        "fork without end, each child in a session of its own",
        shell(
            "exec 2>/dev/null; python3 -c 'import os\nwhile True:\n try:\n  if os.fork() == 0: os.setsid()\n except OSError: pass' & exec sleep 30",
            seconds=1,
        ),
        "time-out",
        ends=True,
    ),
    _bomb(
        "shell-bomb",
        "the classic of the shell, in the background",
        shell("(b() { b | b & }; b) 2>/dev/null & exec sleep 30", seconds=1),
        "time-out",
        ends=True,
    ),
    _bomb(
        "thread-bomb",
        "start threads until nothing else runs",
        python(
            "import threading, time\n"
            "stop = threading.Event(); count = 0\n"
            "try:\n"
            "    while count < 5000: threading.Thread(target=stop.wait).start(); count += 1\n"
            "except RuntimeError: print('EAGAIN' if count < 100 else count)\n"
            "stop.set()"
        ),
        "EAGAIN",
    ),
    _bomb(
        "memory-bomb",
        "take memory without end",
        python("kept = bytearray()\nwhile True: kept += b'1' * 2**20"),
        "signal 9",
        "exit code: 1",
    ),
    _bomb(
        "memory-bomb-shared",
        "take memory by way of many small processes",
        python(
            "import time\n"
            "children = []\n"
            "for _ in range(30):\n"
            "    pid = os.fork()\n"
            "    if not pid: kept = b'1' * (16 * 2**20); time.sleep(0.5); os._exit(0)\n"
            "    children.append(pid)\n"
            "killed = [1 for pid in children if os.waitpid(pid, 0)[1] & 127 == 9]\n"
            "print('killed some' if killed else 'allowed')",
            seconds=18,  # a machine under load swaps and reclaims for a while before it kills
        ),
        "killed some",
        "signal 9",
        ends=True,
    ),
    _bomb(
        "memory-files",
        "take memory by way of files that have no name",
        python(
            "kept = []\n"
            "while True:\n"
            "    kept.append(os.memfd_create('x'))\n"
            "    for _ in range(3): os.write(kept[-1], b'1' * 2**20)"
        ),
        "signal 9",
        "exit code: 1",
        ends=True,
    ),
    _bomb(
        "memory-segments",
        "take memory by way of System V segments that stay",
        python(
            "def fill():\n"
            "    _libc.shmat.restype = ctypes.c_void_p\n"
            "    while True:\n"
            "        number = _libc.shmget(0, 8 * 2**20, 0o1600)\n"
            "        if number < 0: raise OSError(ctypes.get_errno(), '')\n"
            "        where = _libc.shmat(number, None, 0)\n"
            "        if where == 2**64 - 1: raise OSError(ctypes.get_errno(), '')\n"
            "        ctypes.memset(where, 1, 8 * 2**20)\n"
            "        _libc.shmctl(number, 0, None)\n"
            "tell(fill)"
        ),
        "signal 9",
        "ENOSPC",
        "ENOMEM",
        ends=True,
    ),
    _filled(
        "disk-fill",
        "fill the disk",
        "def fill():\n for n in range(100):\n  os.makedirs('fill', exist_ok=True)\n  open(f'fill/{n}', 'wb').write(bytes(2**20))\n"
        "tell(fill)",
    ),
    _filled(
        "disk-fill-tmp",
        "fill the other disk",
        "def fill():\n os.makedirs('/tmp/fill')\n for n in range(100): open(f'/tmp/fill/{n}', 'wb').write(bytes(2**20))\n"
        "tell(fill)",
    ),
    _filled(
        "inode-fill",
        "use all names of the disk up with empty files",
        "def fill():\n os.makedirs('fill')\n for n in range(1000): open(f'fill/{n}', 'w').close()\n"
        "tell(fill)",
        counted=True,
    ),
    _filled(
        "folder-fill",
        "nest folders until the kernel or whoever walks them gives up",
        "def fill():\n os.makedirs('fill'); os.chdir('fill')\n for n in range(1000): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "tell(fill)\nos.chdir('/work')",
        counted=True,
        alone=True,  # where it is allowed, what it made takes longer to remove than a call may
    ),
    _filled(
        "sparse-file",
        "make a file that is much larger than the disk",
        "def fill():\n os.makedirs('fill')\n with open('fill/s', 'wb') as file: file.truncate(2**40)\n"
        "tell(fill)",
    ),
    _filled(
        "oversize-file",
        "make one file larger than a file may be",
        "def fill():\n os.makedirs('fill')\n with open('fill/l', 'wb', buffering=0) as file:\n  while True: file.write(bytes(2**20))\n"
        "tell(fill)",
    ),
    _bomb(
        "descriptors",
        "open files without end",
        python("def fill():\n while True: os.dup(0)\ntell(fill)"),
        "EMFILE",
    ),
    _bomb(
        "raised-limits",
        "raise the limits that it was given",
        python(
            "import resource\n"
            "held = []\n"
            "for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_CORE):\n"
            "    soft, hard = resource.getrlimit(which)\n"
            "    try: resource.setrlimit(which, (soft, hard + 1)); print(which)\n"
            "    except (ValueError, OSError): held.append(which)\n"
            "print('EPERM' if len(held) == 4 else 'allowed')"
        ),
        "EPERM",
    ),
    _bomb(
        "huge-argument",
        "ask for a command longer than the kernel takes",
        Asked("shell.run", {"command": "true " + "x" * 300_000}),
        "exit code: 127",
    ),
    Probe(
        id="processor-time",
        tries="keep a processor busy without end",
        steps=(python("while True: pass"), ALIVE),
        held=("signal 9; fine", "signal 24; fine"),
        bounds=Bounds(cpu_seconds=1),
    ),
    Probe(
        id="output-flood",
        tries="print without end, in lines",
        steps=(shell("yes 'line after line'", seconds=1),),
        held=("bounded, time-out",),
        tell=_cut,
    ),
    Probe(
        id="output-flood-one-line",
        tries="print far more than is kept, on one line",
        steps=(shell("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo end"),),
        held=("bounded, end",),
        tell=_cut,
    ),
    Probe(
        id="output-flood-both",
        tries="print on both streams at once",
        steps=(shell("yes >&2 & yes | head -c 20000000; kill $!; echo end"),),
        held=("bounded, end",),
        tell=_cut,
    ),
)
