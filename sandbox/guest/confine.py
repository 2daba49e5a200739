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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AGENT_UID = 1000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_SET_NO_NEW_PRIVS = 4, 24, 47, 38
_PR_CAP_AMBIENT_CLEAR_ALL = 4
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

# System calls that no agent's work needs and that open the kernel's attack surface or the guest.
# Numbers: x86_64, aarch64. None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "personality": (135, 92),
    "lookup_dcookie": (212, 18),
    "vmsplice": (278, 75),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": (56, 435), "aarch64": (220, 435)}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: all others are refused
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_end_with_parent = False

_libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # RTLD_NOW: the symbols of this very process


class ConfinementError(Exception):
    """A limit could not be put in force; the guest refuses to serve."""


def set_up(plan: dict[str, Any]) -> dict[str, Any]:
    """Put the plan in force and return what holds now, for the run's audit.

    Args:
        plan: ``tmpfs`` (path → {size: bytes, inodes}) for mounts to bound here, ``seal_namespaces``
            (forbid new user namespaces), ``end_with_parent`` (die when the process that started
            this one does), ``memory_bytes`` (of the guest itself; 0 where a cgroup bounds it).
    """
    global _end_with_parent  # noqa: PLW0603 - one guest, one process
    _end_with_parent = bool(plan.get("end_with_parent"))
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
    install_seccomp()
    _switch(0)
    os.umask(0o022)
    return report()


def _bound_tmpfs(path: str, size: int, inodes: int) -> None:
    options = f"size={size},nr_inodes={inodes},mode=0700,uid={AGENT_UID},gid={AGENT_UID}"
    flags = _MS_REMOUNT | _MS_NOSUID | _MS_NODEV
    if _c("mount", b"tmpfs", path.encode(), None, flags, options.encode()):
        raise ConfinementError(f"cannot bound {path}")
    os.chown(path, AGENT_UID, AGENT_UID)
    os.chmod(path, 0o700)


def report() -> dict[str, Any]:
    """Return what the kernel says of this process: capabilities, seccomp, no-new-privileges."""
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {
        "capabilities": status["CapPrm"],
        "bounding": status["CapBnd"],
        "seccomp": status["Seccomp"],
        "no_new_privs": status["NoNewPrivs"],
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
    permitted = int(report()["capabilities"], 16)
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


def install_seccomp() -> None:
    """Install the filter on this process and all that come from it.

    Raises:
        ConfinementError: The architecture is unknown to the filter, or the kernel refused it.
    """
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        raise ConfinementError(f"no seccomp filter for the architecture {machine}")
    program = _program(machine)
    address = id(program) + bytes.__basicsize__ - 1  # where CPython keeps the content of bytes
    fprog = struct.pack("=HxxxxxxQ", len(program) // 8, address)
    if _c("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0):
        raise ConfinementError("the kernel refused the seccomp filter")


_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def _program(machine: str) -> bytes:
    column = 0 if machine == "x86_64" else 1
    clone, clone3 = _CLONE[machine]
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL),  # a foreign ABI (i386 on x86_64) would go round the numbers below
        (_LOAD, 0, 0, 0),
        (_JGE, 0, 1, 0x40000000),  # x32
        (_RET, 0, 0, _ENOSYS),
    ]
    for numbers in _DENIED.values():
        if (number := numbers[column]) is not None:
            code += [(_JEQ, 0, 1, number), (_RET, 0, 0, _EPERM)]
    # clone3 passes its flags by pointer, which a filter cannot read; libc falls back to clone.
    code += [(_JEQ, 0, 1, clone3), (_RET, 0, 0, _ENOSYS)]
    code += [
        (_JEQ, 0, 4, clone),
        (_LOAD, 0, 0, 16),
        (_JSET, 0, 1, _NEW_NAMESPACES),
        (_RET, 0, 0, _EPERM),
        (_RET, 0, 0, _ALLOW),
    ]
    family = [(_JEQ, len(_FAMILIES) - i, 0, value) for i, value in enumerate(_FAMILIES)]
    code += [
        (_JEQ, 0, len(family) + 3, _SOCKET[machine]),
        (_LOAD, 0, 0, 16),
        *family,
        (_RET, 0, 0, _EPERM),
        (_RET, 0, 0, _ALLOW),
    ]
    code += [(_JEQ, 0, 4, _IOCTL[machine]), (_LOAD, 0, 0, 24)]
    code += [(_JEQ, 1, 0, _TERMINAL_INJECTION[0]), (_JEQ, 0, 1, _TERMINAL_INJECTION[1])]
    code += [(_RET, 0, 0, _EPERM), (_RET, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in code)


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
    if _end_with_parent:  # every change of the effective uid clears it
        _c("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


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
