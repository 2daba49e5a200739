"""The program of the spawner: it starts commands at the guest's request, all under one tracer.

Starting a tracer takes longer than many a command. This process is started under one once; the
children that it makes are traced as it is. They are the guest's children, not its own, and this process
runs nothing of theirs: what it does for a command is what the guest would do.

It runs by itself, outside the package: standard library only. Its own standard input is its talk with
the guest.
"""

from __future__ import annotations

import _ctypes  # the packages around these two take longer to load than all the rest
import _signal as signal
import _socket
import gc
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_REQUEST_BYTES = 64 * 1024
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT = 0x8000  # linux/sched.h
_STREAMS = 3
_LAST_DESCRIPTOR = 1024


def serve(uid: int) -> NoReturn:
    """Start a command for each request until the guest hangs up; answer with its pid, -1 without.

    Args:
        uid: The agent's; its group has the same number.
    """
    gc.disable()
    os.setgroups([uid])
    talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, 0)
    number = _CLONE[os.uname().machine]
    libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # RTLD_NOW: this very process
    system = _ctypes.dlsym(libc, "syscall")
    os.write(0, b"ready")  # not by the socket's own means: those are traced
    while True:
        raw, given, _, _ = talk.recvmsg(_REQUEST_BYTES, _socket.CMSG_SPACE(4 * _STREAMS))
        if not raw:
            os._exit(0)
        streams = memoryview(given[0][2]).cast("i").tolist()
        arguments = (number, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        pid = int(_ctypes.call_function(system, arguments))
        if not pid:
            _become(uid, streams, *marshal.loads(raw))  # noqa: S302 - the guest's own words
        for descriptor in streams:
            os.close(descriptor)
        os.write(0, b"%d" % pid)


def _become(
    uid: int, streams: list[int], argv: list[str], cwd: str, environment: dict[str, str]
) -> NoReturn:
    """Be the command. Limits and processor are what the spawner was started with."""
    try:
        os.setsid()
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target, inheritable=True)
        os.closerange(_STREAMS, _LAST_DESCRIPTOR)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by the interpreter
            signal.signal(ignored, signal.SIG_DFL)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.chdir(cwd)
        os.execve(argv[0], argv, environment)  # noqa: S606 - it is what the tool asked for
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    finally:
        os._exit(127)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
