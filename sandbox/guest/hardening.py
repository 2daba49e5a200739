"""What the guest does to itself before it serves: mounts, capabilities, seccomp, limits.

It runs as root of its own container with a handful of capabilities; all that tools and commands do
happens under the agent's uid, which has none.
"""

from __future__ import annotations

import _ctypes  # what ctypes is made of; the package around it takes a tenth of the start-up time
import os
import resource
import signal
import struct

from sandbox.guest import seccomp
from sandbox.guest.seccomp import ConfinementError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sandbox.guest.seccomp import Filter

AGENT_UID = 1000
FOLDERS = ("/work", "/tmp")
"""Where the agent may write."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_SET_NO_NEW_PRIVS = 4, 24, 47, 38
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_PR_GET_NO_NEW_PRIVS = 39
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 2, 4, 32
_CAP_V3 = 0x20080522


CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SYS_PTRACE": 19,
}
"""What the guest keeps: to read the agent's files, switch to its uid, end and trace its processes."""

_ends_with_parent = False

_libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # RTLD_NOW: the symbols of this very process


def set_up(
    *,
    filters: Mapping[str, Filter],
    memory_bytes: int,
    embedded: bool,
    size: int,
    inodes: int,
) -> tuple[dict[str, Any], int]:
    """Confine this process; return what holds now, for the run's audit, and seccomp's listener.

    Args:
        filters: Of system calls, see ``sandbox.guest.seccomp``.
        memory_bytes: Most that this process may take; 0 if a cgroup bounds it.
        embedded: Whether no engine has made the container: then its folders are to be bounded, new user
            namespaces to be forbidden, and it is to die if the process that started this one does.
        size: Most bytes in each folder.
        inodes: Most files in each.
    """
    global _ends_with_parent  # noqa: PLW0603 - one guest, one process
    _ends_with_parent = embedded
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if embedded:
        for path in FOLDERS:
            _bound_tmpfs(path, size, inodes)
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    listener = seccomp.install(filters)
    _switch(0)
    os.umask(0o022)
    denials = "recorded" if listener >= 0 else "not recorded"
    return {**report(), "machine": os.uname().machine, "denials": denials}, listener


def _bound_tmpfs(path: str, size: int, inodes: int) -> None:
    options = f"size={size},nr_inodes={inodes},mode=0700,uid={AGENT_UID},gid={AGENT_UID}"
    flags = _MS_REMOUNT | _MS_NOSUID | _MS_NODEV
    if _c("mount", b"tmpfs", path.encode(), None, flags, options.encode()):
        raise ConfinementError(f"cannot bound {path}")
    os.chown(path, AGENT_UID, AGENT_UID)
    os.chmod(path, 0o700)


def read(path: str) -> bytes:
    """Return a file of the kernel's, whose length is not known before; see proc(5).

    Raises:
        OSError: It is not there or not to be read.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while more := os.read(file, 16384):
            data += more
        return data
    finally:
        os.close(file)


def report() -> dict[str, object]:
    """Return what the kernel says of this process: ids, capabilities, seccomp, no-new-privileges.

    What a kernel does not tell is empty: gVisor has no ambient capabilities and counts no filters.
    """
    own = status()
    return {
        "uids": own["Uid"].split(),
        "gids": own["Gid"].split(),
        "groups": own["Groups"].split(),
        "inheritable": own["CapInh"],
        "capabilities": own["CapPrm"],
        "effective": own["CapEff"],
        "bounding": own["CapBnd"],
        "ambient": own.get("CapAmb", ""),
        "seccomp": own["Seccomp"],
        "filters": own.get("Seccomp_filters", ""),
        "no_new_privs": str(_c("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
    }


def status(pid: int | str = "self") -> dict[str, str]:
    """Return what the kernel says of a process, by field; see proc_pid_status(5).

    Raises:
        OSError: It has ended.
    """
    # a process may call itself anything, also what is no text
    lines = read(f"/proc/{pid}/status").decode("utf-8", "replace").split("\n")
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _c(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of the C library; integers must fit into 32 bits."""
    return int(_ctypes.call_function(_ctypes.dlsym(_libc, name), arguments))


def _prctl(option: int, value: int, third: int = 0) -> None:
    if _c("prctl", option, value, third, 0, 0):
        raise ConfinementError(f"prctl({option}, {value}) failed")


def _drop_capabilities() -> None:
    keep = sum(1 << number for number in CAPABILITIES.values())
    own = status()
    permitted = int(own["CapPrm"], 16)
    if "CapAmb" in own:  # gVisor has no such set, and refuses to clear it
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if permitted & (1 << 8):  # without CAP_SETPCAP the bounding set is the engine's own
        for number in range(int(read("/proc/sys/kernel/cap_last_cap")) + 1):
            if not keep & (1 << number):
                _prctl(_PR_CAPBSET_DROP, number)
    header, kept = struct.pack("=II", _CAP_V3, 0), permitted & keep
    if _c("capset", header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)):
        raise ConfinementError("cannot drop the capabilities of the guest")


class _Identity:
    """Effective uid and gid inside a ``with`` block; set back after it."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def __enter__(self) -> None:
        self._was = os.geteuid()
        _switch(self._uid)

    def __exit__(self, *_: object) -> None:
        _switch(self._was)


def _switch(uid: int) -> None:
    os.seteuid(0)
    os.setegid(uid)
    if uid:
        os.seteuid(uid)
    if _ends_with_parent:  # every change of the effective uid clears it
        end_with_parent()


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends.

    Raises:
        ConfinementError: The kernel refuses.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def own_proc_files() -> None:
    """Let a fork of the guest write to its own files in ``/proc``, until it takes another uid.

    Those of a process that cannot be dumped belong to root outside, where its memory was made. Other
    processes gain nothing: this one still has the guest's uid, and another uid resets it.
    """
    _prctl(_PR_SET_DUMPABLE, 1)


def as_agent() -> _Identity:
    """Act under the agent's uid and without capabilities inside the block."""
    return _Identity(AGENT_UID)


def as_guest() -> _Identity:
    """Take the guest's own rights back inside the block; for the guest's own acts only."""
    return _Identity(0)


def limit_resources(limits: Mapping[str, int]) -> None:
    """Set the limits of a command, in the child before it starts.

    Args:
        limits: Name of a limit in :mod:`resource` → its value, or the bound that holds already if it is
            lower. ``RLIMIT_NPROC`` only if the uid is the container's own: the kernel counts a uid's
            processes on the whole machine.
    """
    for name, value in limits.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (bound, bound))
