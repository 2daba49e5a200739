"""The seccomp filter of both architectures, run by an interpreter of classic BPF."""

from __future__ import annotations

import stat
import struct

import pytest

from sandbox.guest import seccomp

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
MACHINES = {"x86_64": 0, "aarch64": 1}
X86, ARM = 0xC000003E, 0xC00000B7
ARCHITECTURES = {"x86_64": X86, "aarch64": ARM}
CLONE_NEWUSER, CLONE_NEWNET, CLONE_THREAD, CLONE_VM = 0x10000000, 0x40000000, 0x10000, 0x100
TIOCSTI, TIOCLINUX, TIOCGWINSZ = 0x5412, 0x541C, 0x5413


def verdict(
    machine: str,
    number: int,
    *arguments: int,
    architecture: int | None = None,
    left_out: tuple[str, ...] = (),
) -> int:
    """Return what the filter answers to a system call (linux/seccomp.h: struct seccomp_data)."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    arch = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    program = [
        struct.unpack("=HBBI", line) for line in lines(seccomp.program(machine, EPERM, left_out))
    ]
    accumulator, counter = 0, 0
    while True:
        code, if_true, if_false, operand = program[counter]
        counter += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return int(operand)
        else:
            tests = {
                0x15: accumulator == operand,
                0x35: accumulator >= operand,
                0x45: bool(accumulator & operand),
            }
            counter += if_true if tests[code] else if_false


def lines(program: bytes) -> list[bytes]:
    """Return the instructions of a program."""
    return [program[start : start + 8] for start in range(0, len(program), 8)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", seccomp.DENIED)
def test_a_denied_call_is_not_permitted(name: str, machine: str) -> None:
    """Every call of the list is answered with EPERM where the architecture has it."""
    number = seccomp.DENIED[name][MACHINES[machine]]
    assert number is None or verdict(machine, number) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_all_other_calls_are_allowed(machine: str) -> None:
    """No call is denied that is not on the list."""
    column = MACHINES[machine]
    denied = {numbers[column] for numbers in seccomp.DENIED.values()}
    clone3 = seccomp._CLONE[machine][1]
    special = {clone3, seccomp._SOCKET[machine]}
    others = set(range(512)) - denied - special
    assert {ALLOW} == {verdict(machine, number) for number in others}


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_is_killed(machine: str) -> None:
    """A call with the numbers of another ABI, such as i386, ends the process."""
    assert verdict(machine, 1, architecture=0x40000003) == KILL


def test_x32_does_not_exist() -> None:
    """The calls of the x32 ABI, which carry other numbers, are answered with ENOSYS."""
    assert verdict("x86_64", 0x40000000 + 101) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_device_nodes_cannot_be_made(machine: str) -> None:
    """Pipes, sockets and files can be made by mknod, but neither character nor block devices."""
    for number, offset in seccomp._MKNOD[machine]:
        before = [0] * ((offset - 16) // 8)
        found = {
            kind: verdict(machine, number, *before, kind | 0o666)
            for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFREG)
        }
        assert list(found.values()) == [EPERM, EPERM, ALLOW, ALLOW, ALLOW]


@pytest.mark.parametrize("machine", MACHINES)
def test_clone3_falls_back_to_clone(machine: str) -> None:
    """A call whose flags a filter cannot read is said not to exist."""
    assert verdict(machine, seccomp._CLONE[machine][1]) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("flag", [CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWUSER | CLONE_VM])
def test_a_new_namespace_is_not_permitted(flag: int, machine: str) -> None:
    """No process is started in a namespace of its own."""
    assert verdict(machine, seccomp._CLONE[machine][0], flag) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_a_thread_is_permitted(machine: str) -> None:
    """Threads and plain children are started by the same call."""
    assert verdict(machine, seccomp._CLONE[machine][0], CLONE_THREAD | CLONE_VM) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("family", range(48))
def test_only_local_and_internet_sockets_are_permitted(family: int, machine: str) -> None:
    """AF_UNIX, AF_INET and AF_INET6 exist; netlink, packet, vsock and the like do not."""
    expected = ALLOW if family in (1, 2, 10) else EPERM
    assert expected == verdict(machine, seccomp._SOCKET[machine], family)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_can_be_typed_into_a_terminal(machine: str) -> None:
    """The two requests that put text into a terminal's input are refused, others are not."""
    number = seccomp._IOCTL[machine]
    answers = [verdict(machine, number, 0, request) for request in (TIOCSTI, TIOCLINUX, TIOCGWINSZ)]
    assert answers == [EPERM, EPERM, ALLOW]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_upper_half_of_an_argument_hides_nothing(machine: str) -> None:
    """The kernel takes 32 bits of these arguments; so does the filter."""
    high = 1 << 32
    answers = [
        verdict(machine, seccomp._IOCTL[machine], 0, high | TIOCSTI),
        verdict(machine, seccomp._SOCKET[machine], high | 16),
    ]
    assert answers == [EPERM, EPERM]


CLONE_UNTRACED = 0x00800000


@pytest.mark.parametrize("machine", MACHINES)
def test_no_child_escapes_its_tracer(machine: str) -> None:
    """A process cannot be started that the tracer of its parent does not follow."""
    assert verdict(machine, seccomp._CLONE[machine][0], CLONE_UNTRACED) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", seccomp.TRACERS_OWN)
def test_the_tracer_may_do_what_it_refuses_to_others(name: str, machine: str) -> None:
    """Where commands are traced, the filter leaves the tracer's own calls to it."""
    number = seccomp.DENIED[name][MACHINES[machine]]
    assert number is not None
    assert verdict(machine, number, left_out=seccomp.TRACERS_OWN) == ALLOW
