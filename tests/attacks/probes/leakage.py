"""From one run to the next, or to the one beside it: nothing that one leaves is found by another."""

from __future__ import annotations

from tests.support.attacks.probe import Asked, Probe, python, shell

_LEAVE = {
    "files": shell(
        "echo left > /tmp/left; echo left > /work/left; mkdir -p /dev/shm/x; echo left > /dev/shm/left; true"
    ),
    "segments": python(
        "import struct\n"
        "number = _libc.shmget(0x1eaf, 4096, 0o1666); sets = _libc.semget(0x1eaf, 1, 0o1666); queue = _libc.msgget(0x1eaf, 0o1666)\n"
        "print(number, sets, queue)"
    ),
    "queue": python("ctypes.CDLL('librt.so.1').mq_open(b'/left', 0o102, 0o666, None)"),
    "keys": python(
        "_libc.syscall(248 if platform.machine() == 'x86_64' else 217, b'user', b'left', b'x', 1, -4)"
    ),
    "socket": shell(
        "(python3 -c \"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'left'); s.listen(); time.sleep(60)\" >/dev/null 2>&1 &)"
    ),
    "port": shell(
        "(python3 -c \"import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 7777)); s.listen(); time.sleep(60)\" >/dev/null 2>&1 &)"
    ),
}
_FIND = {
    "files": shell(
        "cat /tmp/left /work/left /dev/shm/left /var/tmp/left 2>/dev/null | grep . || echo none"
    ),
    "segments": python(
        "found = [n for n in (_libc.shmget(0x1eaf, 0, 0), _libc.semget(0x1eaf, 0, 0), _libc.msgget(0x1eaf, 0)) if n >= 0]\n"
        "print(found or 'none')"
    ),
    "queue": python(
        "print('none' if ctypes.CDLL('librt.so.1').mq_open(b'/left', 0) < 0 else 'found')"
    ),
    "keys": python(
        "number = _libc.syscall(250 if platform.machine() == 'x86_64' else 219, 10, -4, b'user', b'left', 0)\n"
        "try: listed = 'left' in open('/proc/keys').read()\n"
        "except OSError: listed = False\n"
        "print('none' if number < 0 and not listed else 'found')"
    ),
    "socket": python(
        "import socket\n"
        "try: socket.socket(socket.AF_UNIX).connect('\\0left'); print('found')\n"
        "except OSError: print('found' if '@left' in open('/proc/net/unix').read() else 'none')"
    ),
    "port": python(
        "import socket\n"
        "try: socket.create_connection(('127.0.0.1', 7777), 1); print('found')\n"
        "except OSError: print('none')"
    ),
}
_NAMES = {
    "files": "files, also in shared memory",
    "segments": "System V segments, semaphores and queues",
    "queue": "POSIX message queues",
    "keys": "keys",
    "socket": "abstract sockets",
    "port": "ports of the loopback",
}


def _left(what: str) -> Probe:
    return Probe(
        id=f"left-{what}",
        tries=f"find {_NAMES[what]} that an earlier run left, or that one beside it holds",
        earlier=(_LEAVE[what],),
        beside=(_LEAVE[what],),
        steps=(_FIND[what],),
        held=("none",),
    )


PROBES = (
    *(_left(what) for what in _LEAVE),
    Probe(
        id="left-processes",
        tries="find or signal processes of a run beside it",
        beside=(shell("(setsid sleep 987 >/dev/null 2>&1 </dev/null &)"),),
        steps=(
            python(
                "found = [n for n in os.listdir('/proc') if n.isdigit() and b'987' in open(f'/proc/{n}/cmdline', 'rb').read().split(b'\\0')]\n"
                "print(found or 'none')"
            ),
        ),
        held=("none",),
    ),
    Probe(
        id="left-modules",
        tries="leave something in the interpreter for the next call",
        steps=(
            Asked(
                "python.run",
                {"code": "import builtins, sys; builtins.left = 1; sys.modules['left'] = sys"},
            ),
            Asked(
                "python.run",
                {
                    "code": "import builtins, sys; print('found' if hasattr(builtins, 'left') or 'left' in sys.modules else 'none')"
                },
            ),
        ),
        held=("exit code: 0; none",),
    ),
)
