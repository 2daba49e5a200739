"""What the kernel says of the agent's processes, told by a child that became one of them.

The child is made as the child of a command is made and then reads about itself instead of starting
a program. It only reads: the host judges (``sandbox.isolation.audit``).
"""

from __future__ import annotations

import marshal
import os
import resource

from sandbox.guest import hardening, seccomp
from sandbox.guest.command import Start
from sandbox.guest.loop import READABLE, PollLoop
from sandbox.guest.seccomp import ConfinementError
from sandbox.guest.toolkit import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMITS = {
    "files": resource.RLIMIT_NOFILE,
    "file_bytes": resource.RLIMIT_FSIZE,
    "cpu_seconds": resource.RLIMIT_CPU,
    "core_bytes": resource.RLIMIT_CORE,
    "processes": resource.RLIMIT_NPROC,
    "memory_bytes": resource.RLIMIT_AS,
}
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_OFTEN_WRITABLE = ("/dev/mqueue", "/dev/shm", "/run", "/run/lock", "/var/tmp")


_REPORT = b"report:"
"""What a report begins with, and the words of an error do not."""


def observe(start: Start, loop: PollLoop, trials: Sequence[Sequence[int]]) -> dict[str, object]:
    """Return what a process of the agent finds about itself.

    Args:
        start: How commands are started.
        loop: Answers what the filter refuses it.
        trials: System calls that it makes: number and arguments.

    Raises:
        ConfinementError: The probe ended without a report.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _probe(start, (reading, writing, writing), trials)
    os.close(writing)
    text = _read_all(reading, loop)
    os.close(reading)
    os.waitpid(pid, 0)
    if not text.startswith(_REPORT):
        raise ConfinementError(text[:500].decode("utf-8", "replace") or "no report")
    try:
        # the child runs nothing but this file, and no process of an agent is there yet
        report = marshal.loads(text[len(_REPORT) :])  # noqa: S302
    except (EOFError, ValueError, TypeError):
        raise ConfinementError("the report is cut") from None
    return {
        **report,
        "environment": sorted(start.environment),
        "guest_environment": sorted(os.environ),
    }


def _read_all(descriptor: int, loop: PollLoop) -> bytes:
    chunks = [b"."]
    loop.watch(descriptor, READABLE, lambda fd, _: chunks.append(os.read(fd, 65536)))
    while chunks[-1]:
        loop.turn()
    loop.unwatch(descriptor)
    return b"".join(chunks[1:])


def _probe(start: Start, streams: tuple[int, int, int], trials: Sequence[Sequence[int]]) -> None:
    """Become the agent, tell what is found, and end; never returns."""
    try:
        start.enter(HOME, streams, switch=True)
        report = {**_look(), "trials": [seccomp.attempt(*trial) for trial in trials]}
        data = _REPORT + marshal.dumps(report)
        while data:
            data = data[os.write(1, data) :]
    except BaseException as error:  # noqa: BLE001 - the guest's code must not go on in this process
        os.write(1, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(0)


def _look() -> dict[str, object]:
    mounts = _read("/proc/self/mountinfo")
    name = os.uname()
    return {
        **hardening.report(),
        "limits": {key: list(resource.getrlimit(which)) for key, which in _LIMITS.items()},
        "mounts": mounts,
        "writable": _writable(mounts),
        "space": {path: _space(path) for path in hardening.FOLDERS},
        "namespaces": _namespaces(),
        "descriptors": _descriptors(),
        "interfaces": [
            line.split(":")[0].strip() for line in _read("/proc/net/dev").split("\n")[2:-1]
        ],
        "devices": sorted(os.listdir("/dev")),
        "keys": [" ".join(line.split()[5:]) for line in _read("/proc/keys").split("\n") if line],
        "processes": sum(1 for entry in os.listdir("/proc") if entry.isdigit()),
        "user_namespaces": _read("/proc/sys/user/max_user_namespaces").strip(),
        "host": name.nodename,
        "kernel": f"{name.release} {name.version}",
    }


def _read(path: str) -> str:
    try:
        return hardening.read(path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _writable(mounts: str) -> list[str]:
    """Return the mounted folders, and those that use to be open to all, that it may write to."""
    points = {line.split(" ")[4] for line in mounts.split("\n") if line}
    points.update(_OFTEN_WRITABLE)
    # few are writable at all: the second question is asked of those alone
    return sorted(p for p in points if os.access(p, os.W_OK) and os.path.isdir(p))


def _space(path: str) -> list[int]:
    space = os.statvfs(path)
    return [space.f_blocks * space.f_frsize, space.f_files]


def _namespaces() -> dict[str, str]:
    namespaces = {}
    for name in _NAMESPACES:  # the folder itself belongs to root and cannot be listed
        try:
            namespaces[name] = os.readlink(f"/proc/self/ns/{name}")
        except OSError:
            continue
    return namespaces


def _descriptors() -> list[int]:
    """Return the open ones, without the one that the listing itself took."""
    descriptors = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            os.fstat(number)
            descriptors.append(number)
        except OSError:
            continue
    return sorted(descriptors)
