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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AGENT_UID = 1000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_SET_NO_NEW_PRIVS = 4, 24, 47, 38
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_PR_GET_NO_NEW_PRIVS = 39
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 2, 4, 32
_CAP_V3 = 0x20080522

_TOLD = ("Uid:", "Gid:", "Groups:", "Cap", "Seccomp")
"""Lines of ``/proc/self/status`` that the report is made of."""

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


class ConfinementError(Exception):
    """A limit could not be put in force; the guest refuses to serve."""


def set_up(plan: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Put the plan in force; return what holds now, for the run's audit, and seccomp's listener.

    Args:
        plan: ``tmpfs`` (path → {size: bytes, inodes}) for mounts to bound here, ``seal_namespaces``
            (forbid new user namespaces), ``end_with_parent`` (die when the process that started
            this one does), ``memory_bytes`` (of the guest itself; 0 where a cgroup bounds it),
            ``filters`` (of system calls, see ``sandbox.guest.seccomp``).
    """
    global _ends_with_parent  # noqa: PLW0603 - one guest, one process
    _ends_with_parent = bool(plan.get("end_with_parent"))
    if bound := plan.get("memory_bytes"):
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    for path, bounds in plan.get("tmpfs", {}).items():
        _bound_tmpfs(path, bounds["size"], bounds["inodes"])
    if plan.get("seal_namespaces"):
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    listener = seccomp.install(plan["filters"])
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


def report() -> dict[str, Any]:
    """Return what the kernel says of this process: ids, capabilities, seccomp, no-new-privileges.

    What a kernel does not tell is empty: gVisor has no ambient capabilities and counts no filters.
    """
    status = dict(
        line.split(":\t", 1)
        for line in read("/proc/self/status").decode().split("\n")
        if line.startswith(_TOLD)
    )
    return {
        "uids": status["Uid"].split(),
        "gids": status["Gid"].split(),
        "groups": status["Groups"].split(),
        "inheritable": status["CapInh"],
        "capabilities": status["CapPrm"],
        "effective": status["CapEff"],
        "bounding": status["CapBnd"],
        "ambient": status.get("CapAmb", ""),
        "seccomp": status["Seccomp"],
        "filters": status.get("Seccomp_filters", ""),
        "no_new_privs": str(_c("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)),
    }


def _c(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of the C library; integers must fit into 32 bits."""
    return int(_ctypes.call_function(_ctypes.dlsym(_libc, name), arguments))


def _prctl(option: int, value: int, third: int = 0) -> None:
    if _c("prctl", option, value, third, 0, 0):
        raise ConfinementError(f"prctl({option}, {value}) failed")


def _drop_capabilities() -> None:
    keep = 0
    for number in CAPABILITIES.values():
        keep |= 1 << number
    header = struct.pack("=II", _CAP_V3, 0)
    now = report()
    permitted = int(now["capabilities"], 16)
    if now["ambient"]:  # gVisor has no such set, and refuses to clear it
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if permitted & (1 << 8):  # without CAP_SETPCAP the bounding set is the engine's own
        with open("/proc/sys/kernel/cap_last_cap") as file:
            last = int(file.read())
        for number in range(last + 1):
            if not keep & (1 << number):
                _prctl(_PR_CAPBSET_DROP, number)
    kept = permitted & keep
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


def limit_resources(limits: dict[str, int]) -> None:
    """Set the limits of a command, in the child before it starts.

    Args:
        limits: ``files`` (open at once), ``file_bytes``, ``cpu_seconds`` and, where no cgroup
            bounds the memory, ``memory_bytes``. ``processes`` where the uid is the container's
            own: the kernel counts a uid's processes on the whole machine.
    """
    pairs = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits["files"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_CPU: limits["cpu_seconds"],
    }
    if limits.get("processes"):
        pairs[resource.RLIMIT_NPROC] = limits["processes"]
    if limits.get("memory_bytes"):
        pairs[resource.RLIMIT_AS] = limits["memory_bytes"]
    for which, value in pairs.items():
        soft, hard = value, resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.setrlimit(which, (soft, soft))
