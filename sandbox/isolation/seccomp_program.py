"""The filter of system calls as a program of classic BPF, see seccomp(2).

A guest has no list: it is sent the programs of each architecture.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from sandbox.isolation.seccomp_profile import (
    MACHINES,
    NO_CALL,
    TRACERS_OWN,
    SystemCall,
    by_number,
    find,
    trials,
)

if TYPE_CHECKING:
    from sandbox.guest.seccomp import Filter

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_LOAD, _JEQ, _JGE, _RET, _AND = 0x20, 0x15, 0x35, 0x06, 0x54  # linux/bpf_common.h
_ALLOW, _NOTIFY, _ERRNO, _KILL = 0x7FFF0000, 0x7FC00000, 0x00050000, 0x80000000  # linux/seccomp.h
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

Code = tuple[tuple[int, int, int, int], ...]
"""Instructions: operation, jump if true, jump if false, operand."""

_ALLOWED: Code = ((_RET, 0, 0, _ALLOW),)


@cache
def filters(*, traced: bool) -> Mapping[str, Filter]:
    """Return the filter of each machine that a guest may be on.

    Args:
        traced: Whether a tracer refuses what it needs itself; else the filter does.
    """
    exempt = TRACERS_OWN if traced else frozenset[str]()
    return {
        machine: {
            "notify": program(machine, notify=True, exempt=exempt),
            "errno": program(machine, notify=False, exempt=exempt),
            "eperm": [n for n, c in by_number(machine).items() if c.error == errno.EPERM],
            "trials": [(n, *arguments) for n, arguments in trials(machine, traced=traced)],
        }
        for machine in MACHINES
    }


def program(machine: str, *, notify: bool, exempt: frozenset[str] = frozenset()) -> bytes:
    """Return the filter of an architecture.

    Args:
        machine: As ``uname -m`` says it.
        notify: Hand refused calls to the guest; else the kernel answers them, without a record.
        exempt: Names of calls that are allowed here, since something else refuses them.
    """
    unknown = _refusal(errno.ENOSYS, notify=notify)
    ranges = {0: unknown}
    for number, call in sorted(by_number(machine).items()):
        ranges[number] = _ALLOWED if call.name in exempt else _answer(call, notify=notify)
        ranges[number + 1] = unknown
    ranges[NO_CALL] = _answer(find(machine, NO_CALL), notify=notify)
    bounds = sorted(ranges.items())
    changes = [bounds[0], *(after for before, after in pairwise(bounds) if before[1] != after[1])]
    code: Code = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL),  # i386 or 32-bit ARM: other calls have these numbers there
        (_LOAD, 0, 0, _NUMBER),
        *_search(changes),
    )
    return b"".join(struct.pack("=HBBI", *line) for line in code)


def _refusal(error: int, *, notify: bool) -> Code:
    return ((_RET, 0, 0, _NOTIFY if notify else _ERRNO | error),)


def _answer(call: SystemCall, *, notify: bool) -> Code:
    """Return the code that answers one call; all its ways end in it."""
    if not call.error:
        return _ALLOWED
    refused = _refusal(call.error, notify=notify and not call.silent)
    condition = call.condition
    if condition is None:
        return refused
    count = len(condition.values)
    match, other = (_ALLOWED, refused) if condition.among else (refused, _ALLOWED)
    return (
        (_LOAD, 0, 0, _ARGUMENTS + 8 * condition.argument),
        (_AND, 0, 0, condition.mask),
        *((_JEQ, count - index, 0, value) for index, value in enumerate(condition.values)),
        *other,
        *match,
    )


def _search(ranges: Sequence[tuple[int, Code]]) -> Code:
    """Return the code that halves ranges of numbers until it has found the one that is asked for.

    Args:
        ranges: The first number of each, and the code that answers it.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    lower, upper = _search(ranges[:middle]), _search(ranges[middle:])
    return ((_JGE, len(lower), 0, ranges[middle][0]), *lower, *upper)
