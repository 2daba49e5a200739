"""The seccomp profile: which system calls an agent's processes may make; ``seccomp_profile.txt`` lists them.

The filter is made of it by :mod:`sandbox.isolation.seccomp_program`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.guest.tracing import REFUSED

MACHINES = ("x86_64", "aarch64")
"""Architectures that the list has numbers for, as ``uname -m`` says them."""
TRACERS_OWN = frozenset(REFUSED.split(","))
"""Calls that the tracer of commands itself needs; it refuses them to what it traces."""
_TRIALS: Mapping[str, tuple[int, ...]] = {
    "process_vm_readv": (0, 0, 0, 0, 0, 0),
    "quotactl_fd": (-1, 0, 0, 0),
    "clone3": (0, 0),
    "4095": (),
}
NO_CALL = 0xFFFFFFFF
"""The number that a tracer puts in place of a call which it refuses; it is on record as that call."""
_X32 = 0x40000000
_LOWER = 0xFFFFFFFF
_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag
_FAMILIES = {
    3: "AX25",
    16: "NETLINK",
    17: "PACKET",
    29: "CAN",
    31: "BLUETOOTH",
    38: "ALG",
    40: "VSOCK",
    44: "XDP",
}
_DETAILS: Mapping[str, Callable[[int], str]] = {
    "clone": lambda flags: "CLONE_NEW…" if flags & _NAMESPACES else "CLONE_UNTRACED",
    "socket": lambda family: f"AF_{_FAMILIES.get(family, family)}",
    "ioctl": lambda request: {0x5412: "TIOCSTI", 0x541C: "TIOCLINUX"}.get(request, str(request)),
    "mknod": lambda mode: "device",
    "mknodat": lambda mode: "device",
}

_LINE = re.compile(r"(\w+) +(\d+|-) +(\d+|-) +(allow|EPERM|ENOSYS)(?: (\S+))?")
_CONDITION = re.compile(r"arg(\d)(?:&(\w+))?(!?)=([\w|]+)")


@dataclass(frozen=True)
class Condition:
    """What one argument must be for its call to be allowed."""

    argument: int
    mask: int
    """Bits that count, of the lower 32: the kernel takes no more of these arguments."""
    values: tuple[int, ...]
    among: bool
    """Whether the bits must be one of the values, or none."""

    def holds(self, arguments: Sequence[int]) -> bool:
        """Return whether a call with these arguments is allowed."""
        return (arguments[self.argument] & self.mask in self.values) == self.among


@dataclass(frozen=True)
class SystemCall:
    """What becomes of one system call."""

    name: str
    numbers: Mapping[str, int]
    """Machine → number."""
    error: int
    """What a refused call gets; 0 if it is allowed whatever its arguments are."""
    condition: Condition | None = None
    """Under which it is allowed nevertheless."""
    silent: bool = False
    """Whether the kernel refuses it by itself, without a record."""

    def answer(self, arguments: Sequence[int]) -> int:
        """Return the error that a call with these arguments gets; 0 if it is allowed."""
        return 0 if self.condition and self.condition.holds(arguments) else self.error

    def label(self, arguments: Sequence[int]) -> str:
        """Return what a refused call is called in the trace: its name, with what was refused of it."""
        if self.condition is None:
            return self.name
        value = arguments[self.condition.argument] & _LOWER
        return f"{self.name.removesuffix('at')}({_DETAILS[self.name](value)})"


@cache
def system_calls() -> Mapping[str, SystemCall]:
    """Return the list, by name."""
    lines = Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
    calls = [_parse(line) for line in lines if not line.startswith("#")]
    return {call.name: call for call in calls}


def _parse(line: str) -> SystemCall:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not a line of the seccomp profile: {line}")
    name, *columns, answer, rest = match.groups()
    pairs = zip(MACHINES, columns, strict=True)
    numbers = {machine: int(number) for machine, number in pairs if number != "-"}
    if answer != "allow":
        return SystemCall(name, numbers, getattr(errno, answer), silent=rest == "silent")
    condition = _condition(rest) if rest else None
    return SystemCall(name, numbers, errno.EPERM if condition else 0, condition)


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a condition of the seccomp profile: {text}")
    argument, mask, negated, values = match.groups()
    return Condition(
        int(argument),
        int(mask, 0) if mask else _LOWER,
        tuple(int(value, 0) for value in values.split("|")),
        among=not negated,
    )


@cache
def by_number(machine: str) -> Mapping[int, SystemCall]:
    """Return what an architecture has of the list, by number."""
    return {
        call.numbers[machine]: call for call in system_calls().values() if machine in call.numbers
    }


def find(machine: str, number: int) -> SystemCall:
    """Return the call of a number, also of one that no architecture has."""
    if call := by_number(machine).get(number):
        return call
    name = f"x32({number - _X32})" if machine == "x86_64" and number >= _X32 else str(number)
    return SystemCall(name, {machine: number}, errno.ENOSYS, silent=number == NO_CALL)


def trials(machine: str, *, traced: bool) -> list[tuple[int, tuple[int, ...]]]:
    """Return calls for each container's audit to make: number, arguments. Without a filter they do no harm.

    Args:
        machine: Whose numbers.
        traced: Whether a tracer refuses :data:`TRACERS_OWN`; else they are among them.
    """
    return [
        (int(name) if name.isdecimal() else system_calls()[name].numbers[machine], arguments)
        for name, arguments in _TRIALS.items()
        if not (traced and name in TRACERS_OWN)
    ]
