"""Loading the filter of system calls, and the record of those that it refused.

What is allowed is the engine's business (``sandbox.isolation.seccomp_profile``), which sends the
program. A refused call is not answered by the kernel but handed to the guest (seccomp user
notification), which always refuses it: a plain ERRNO would leave no trace of the attempt. Since the
answer does not depend on what a pointer points to, nothing can be changed between the look and the
answer. A process whose guest is gone gets ENOSYS.
"""

from __future__ import annotations

import _ctypes  # what ctypes is made of; the package around it takes a tenth of the start-up time
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypedDict

    from sandbox.guest.messages import Denial

    class Filter(TypedDict):
        """The filter of one architecture; see ``sandbox.isolation.seccomp_program``."""

        notify: bytes
        """The program that hands refused calls to the guest."""
        errno: bytes
        """The program for a kernel that cannot do that: it refuses by itself, without a record."""
        eperm: Sequence[int]
        """Numbers that the guest answers with EPERM; with ENOSYS all others."""
        trials: Sequence[Sequence[int]]
        """Calls for the audit to make: number and arguments."""


_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101  # linux/seccomp.h
DENIALS_LIMIT = 500
"""Refused system calls of one call that are kept; the rest is counted."""


class ConfinementError(Exception):
    """A control could not be set or examined; the guest refuses to serve."""


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _System(_ctypes.CFuncPtr):
    """The C library's ``syscall``, with the error that the kernel gave."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


# RTLD_NOW: the symbols of this very process
_system = _System(_ctypes.dlsym(_ctypes.dlopen(None, 2), "syscall"))  # type: ignore[arg-type]


def install(filters: Mapping[str, Filter]) -> int:
    """Install the filter of this machine on this process and all that come from it.

    Args:
        filters: See ``sandbox.isolation.seccomp_program.filters``.

    Returns:
        The descriptor on which refused calls are announced, or -1 if the kernel (or gVisor)
        cannot do that: then it refuses them by itself and nobody learns of it.

    Raises:
        ConfinementError: There is no filter for the architecture, or the kernel refused it.
    """
    machine = os.uname().machine
    if machine not in filters:
        raise ConfinementError(f"no seccomp filter for the architecture {machine}")
    programs = filters[machine]
    listener = _load(machine, programs["notify"], _NEW_LISTENER)
    if listener < 0 and _load(machine, programs["errno"], 0) < 0:
        raise ConfinementError("the kernel refused the seccomp filter")
    return listener


def _load(machine: str, code: bytes, flags: int) -> int:
    address = id(code) + bytes.__basicsize__ - 1  # where CPython keeps the content of bytes
    fprog = struct.pack("=HxxxxxxQ", len(code) // 8, address)
    return int(_system(_SYS_SECCOMP[machine], _SET_MODE_FILTER, flags, fprog))


def attempt(number: int, *arguments: int) -> int:
    """Make a system call and return the error that it got; 0 if it was made."""
    return 0 if _system(number, *arguments) >= 0 else _ctypes.get_errno()


class Denials:
    """Answers refused system calls and remembers them."""

    def __init__(self, listener: int, eperm: Iterable[int], caller: Callable[[int], str]) -> None:
        """Answer on a listener.

        Args:
            listener: What :func:`install` returned.
            eperm: Numbers of calls that get EPERM; any other gets ENOSYS.
            caller: Gives the id of the tool call that started a process.
        """
        self.listener = listener
        self._eperm = frozenset(eperm)
        self._caller = caller
        self._denials: list[Denial] = []
        self._dropped = 0

    def serve(self, descriptor: int, events: int) -> None:
        """Refuse the next call that waits for its answer."""
        notice = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _NOTIF_RECV, notice)
            waiting, pid, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", notice)
            error = errno.EPERM if number in self._eperm else errno.ENOSYS
            answer = bytearray(struct.pack("=QqiI", waiting, 0, -error, 0))
            if len(self._denials) < DENIALS_LIMIT:
                call = self._caller(pid)
                self._denials.append(
                    {"call": call, "pid": pid, "number": number, "arguments": arguments}
                )
            else:
                self._dropped += 1
            fcntl.ioctl(self.listener, _NOTIF_SEND, answer)
        except OSError:
            return  # it was killed while it waited

    def drain(self) -> tuple[list[Denial], int]:
        """Return what was refused since the last time, and how much more there was."""
        denials, dropped = self._denials, self._dropped
        self._denials, self._dropped = [], 0
        return denials, dropped
