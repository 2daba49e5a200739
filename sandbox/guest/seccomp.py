"""The filter of system calls, and the record of those that it refused.

A refused call is not answered by the kernel but handed to the guest (seccomp user notification),
which always answers EPERM: a plain ERRNO would leave no trace of the attempt. Since the answer does
not depend on what a pointer points to, nothing can be changed between the look and the answer. A
process whose guest is gone gets ENOSYS.
"""

from __future__ import annotations

import _ctypes  # what ctypes is made of; the package around it takes a tenth of the start-up time
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# System calls that no agent's work needs and that open the kernel's attack surface or the guest.
# Numbers: x86_64, aarch64. None where the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
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
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "get_mempolicy": (239, 236),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
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
_MKNOD = {"x86_64": ((133, 24), (259, 32)), "aarch64": ((33, 32),)}  # number, offset of the mode
_CLONE_FLAGS = 0x7E020080 | 0x00800000  # every CLONE_NEW* flag; CLONE_UNTRACED
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: all others are refused
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

TRACERS_OWN = ("ptrace", "process_vm_readv", "process_vm_writev")
"""Calls that the tracer of commands itself needs; it refuses them to what it traces."""

_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101  # linux/seccomp.h
_EPERM = 1
_LOAD, _JEQ, _JGE, _JSET, _RET, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _ASK, _KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
_ERRNO_EPERM, _ERRNO_ENOSYS = 0x00050001, 0x00050026
_FAMILY_NAMES = {
    3: "AX25",
    16: "NETLINK",
    17: "PACKET",
    29: "CAN",
    31: "BLUETOOTH",
    38: "ALG",
    40: "VSOCK",
    44: "XDP",
}
DENIALS_LIMIT = 500
"""Refused system calls of one call that are kept; the rest is counted."""

_libc = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # RTLD_NOW: the symbols of this very process


class FilterError(Exception):
    """The filter could not be put in force."""


def install(*, traced: bool) -> int:
    """Install the filter on this process and all that come from it.

    Args:
        traced: Whether a tracer refuses :data:`TRACERS_OWN`; else the filter does.

    Returns:
        The descriptor on which refused calls are announced, or -1 where the kernel (or gVisor)
        cannot do that: then it refuses them by itself and nobody learns of it.

    Raises:
        FilterError: The architecture is unknown to the filter, or the kernel refused it.
    """
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        raise FilterError(f"no seccomp filter for the architecture {machine}")
    left_out = TRACERS_OWN if traced else ()
    listener = _load(machine, program(machine, _ASK, left_out), _NEW_LISTENER)
    if listener < 0 and _load(machine, program(machine, _ERRNO_EPERM, left_out), 0) < 0:
        raise FilterError("the kernel refused the seccomp filter")
    return listener


def refuse_tracing() -> None:
    """Install a further filter that refuses :data:`TRACERS_OWN`, for a process without a tracer."""
    machine = os.uname().machine
    column = _column(machine)
    code = [(_LOAD, 0, 0, 0)]
    for name in TRACERS_OWN:
        code += _refuse(DENIED[name][column], _ERRNO_EPERM)
    if _load(machine, _packed([*code, (_RET, 0, 0, _ALLOW)]), 0) < 0:
        raise FilterError("the kernel refused the seccomp filter")


def _load(machine: str, code: bytes, flags: int) -> int:
    address = id(code) + bytes.__basicsize__ - 1  # where CPython keeps the content of bytes
    fprog = struct.pack("=HxxxxxxQ", len(code) // 8, address)
    arguments = (_SYS_SECCOMP[machine], _SET_MODE_FILTER, flags, fprog)
    return int(_ctypes.call_function(_ctypes.dlsym(_libc, "syscall"), arguments))


def program(machine: str, answer: int, left_out: tuple[str, ...] = ()) -> bytes:
    """Return the filter as classic BPF.

    Args:
        machine: As ``uname -m`` says it.
        answer: What a refused call gets: a ``SECCOMP_RET`` value.
        left_out: Names of calls that are not to be refused.
    """
    clone, clone3 = _CLONE[machine]
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL),  # a foreign ABI (i386 on x86_64) would go round the numbers below
        (_LOAD, 0, 0, 0),
        (_JGE, 0, 1, 0x40000000),  # x32
        (_RET, 0, 0, _ERRNO_ENOSYS),
    ]
    for name, numbers in DENIED.items():
        if name not in left_out:
            code += _refuse(numbers[_column(machine)], answer)
    for number, offset in _MKNOD[machine]:  # gVisor lets anybody make device nodes
        code += [(_JEQ, 0, 6, number), (_LOAD, 0, 0, offset), (_AND, 0, 0, 0o170000)]
        code += [(_JEQ, 2, 0, 0o020000), (_JEQ, 1, 0, 0o060000)]
        code += [(_RET, 0, 0, _ALLOW), (_RET, 0, 0, answer)]
    # clone3 passes its flags by pointer, which a filter cannot read; libc falls back to clone.
    code += [(_JEQ, 0, 1, clone3), (_RET, 0, 0, _ERRNO_ENOSYS)]
    code += [
        (_JEQ, 0, 4, clone),
        (_LOAD, 0, 0, 16),
        (_JSET, 0, 1, _CLONE_FLAGS),
        (_RET, 0, 0, answer),
        (_RET, 0, 0, _ALLOW),
    ]
    family = [(_JEQ, len(_FAMILIES) - i, 0, value) for i, value in enumerate(_FAMILIES)]
    code += [
        (_JEQ, 0, len(family) + 3, _SOCKET[machine]),
        (_LOAD, 0, 0, 16),
        *family,
        (_RET, 0, 0, answer),
        (_RET, 0, 0, _ALLOW),
    ]
    code += [(_JEQ, 0, 4, _IOCTL[machine]), (_LOAD, 0, 0, 24)]
    code += [(_JEQ, 1, 0, _TERMINAL_INJECTION[0]), (_JEQ, 0, 1, _TERMINAL_INJECTION[1])]
    code += [(_RET, 0, 0, answer), (_RET, 0, 0, _ALLOW)]
    return _packed(code)


def _column(machine: str) -> int:
    return 0 if machine == "x86_64" else 1


def _refuse(number: int | None, answer: int) -> list[tuple[int, int, int, int]]:
    return [] if number is None else [(_JEQ, 0, 1, number), (_RET, 0, 0, answer)]


def _packed(code: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("=HBBI", *line) for line in code)


class Denials:
    """Answers refused system calls and remembers them."""

    def __init__(self, listener: int, caller: Callable[[int], str]) -> None:
        """Answer on a listener.

        Args:
            listener: What :func:`install` returned.
            caller: Gives the id of the tool call that started a process.
        """
        self.listener = listener
        self._caller = caller
        self._found: list[dict[str, Any]] = []
        self._dropped = 0
        machine = os.uname().machine
        self._names = {
            numbers[_column(machine)]: name
            for name, numbers in DENIED.items()
            if numbers[_column(machine)] is not None
        }
        self._nodes = [number for number, _ in _MKNOD[machine]]
        self._clone, self._socket, self._ioctl = (
            _CLONE[machine][0],
            _SOCKET[machine],
            _IOCTL[machine],
        )

    def serve(self, descriptor: int, events: int) -> None:
        """Refuse the next call that waits for its answer."""
        import fcntl

        notice = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _NOTIF_RECV, notice)
            waiting, pid, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", notice)
            answer = bytearray(struct.pack("=QqiI", waiting, 0, -_EPERM, 0))
            self._remember(pid, number, arguments)
            fcntl.ioctl(self.listener, _NOTIF_SEND, answer)
        except OSError:
            return  # it was killed while it waited

    def _remember(self, pid: int, number: int, arguments: list[int]) -> None:
        if len(self._found) >= DENIALS_LIMIT:
            self._dropped += 1
            return
        self._found.append(
            {
                "call": self._caller(pid),
                "pid": pid,
                "name": self._name(number, arguments),
                "arguments": [hex(argument) for argument in arguments],
            }
        )

    def _name(self, number: int, arguments: list[int]) -> str:
        if number == self._socket:
            family = arguments[0] & 0xFFFFFFFF
            return f"socket(AF_{_FAMILY_NAMES.get(family, family)})"
        if number == self._clone:
            return "clone(CLONE_NEW…)" if arguments[0] & 0x7E020080 else "clone(CLONE_UNTRACED)"
        if number == self._ioctl:
            return (
                "ioctl(TIOCSTI)" if arguments[1] == _TERMINAL_INJECTION[0] else "ioctl(TIOCLINUX)"
            )
        if number in self._nodes:
            return "mknod(device)"
        return self._names.get(number, str(number))

    def drain(self) -> tuple[list[dict[str, Any]], int]:
        """Return what was refused since the last time, and how much more there was."""
        found, dropped = self._found, self._dropped
        self._found, self._dropped = [], 0
        return found, dropped
