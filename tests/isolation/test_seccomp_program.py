"""The seccomp filter of both architectures, run by an interpreter of classic BPF, against the list."""

from __future__ import annotations

import errno
import re
import stat
import struct
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from sandbox.isolation import seccomp_profile, seccomp_program
from sandbox.isolation.seccomp_profile import MACHINES, TRACERS_OWN, by_number, system_calls

ALLOW, NOTIFY, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
EPERM, ENOSYS = 0x00050001, 0x00050026
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FOREIGN = {"x86_64": 0x40000003, "aarch64": 0x40000028}
"""The 32-bit table of the same processors: i386, ARM."""
X32, HIGHEST = 0x40000000, 0xFFFFFFFF
NEW_NAMESPACES = [0x80, *(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30))]
CLONE_THREAD, CLONE_VM, CLONE_UNTRACED, SIGCHLD = 0x10000, 0x100, 0x00800000, 17
TIOCSTI, TIOCLINUX, TIOCGWINSZ = 0x5412, 0x541C, 0x5413
ARGUMENTS = sorted(
    {
        0,
        HIGHEST,
        SIGCHLD,
        CLONE_THREAD | CLONE_VM,
        CLONE_UNTRACED,
        *NEW_NAMESPACES,
        *range(48),
        TIOCSTI,
        TIOCLINUX,
        TIOCGWINSZ,
        *(kind << 12 | 0o666 for kind in range(16)),
    }
)
HEADERS = {
    "x86_64": (
        Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        Path("/usr/include/asm/unistd_64.h"),
    ),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"),),
}
REFUSED_SO_FAR = """
ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd mount umount2 pivot_root chroot move_mount
open_tree fsopen fsconfig fsmount fspick mount_setattr unshare setns keyctl add_key request_key
io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open fanotify_init
open_by_handle_at name_to_handle_at kexec_load kexec_file_load init_module finit_module delete_module
reboot swapon swapoff syslog acct quotactl settimeofday clock_settime clock_adjtime adjtimex
sethostname setdomainname personality lookup_dcookie mbind set_mempolicy get_mempolicy migrate_pages
move_pages vhangup nfsservctl vmsplice iopl ioperm modify_ldt uselib ustat sysfs
"""
"""What the filter refused when it was a deny list."""

program = cache(seccomp_program.program)
each_machine = pytest.mark.parametrize("machine", MACHINES)


@cache
def decode(code: bytes) -> list[tuple[int, int, int, int]]:
    """Return the instructions of a program."""
    return list(struct.iter_unpack("=HBBI", code))


def run(code: bytes, number: int, arguments: tuple[int, ...], arch: int) -> tuple[int, int]:
    """Return what a filter answers to a system call, and after how many instructions.

    See linux/seccomp.h for struct seccomp_data.
    """
    data = struct.pack("=IIQ6Q", number, arch, 0, *arguments)
    lines = decode(code)
    accumulator, counter, steps = 0, 0, 0
    while True:
        operation, if_true, if_false, operand = lines[counter]
        counter, steps = counter + 1, steps + 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif operation == 0x54:
            accumulator &= operand
        elif operation == 0x06:
            return int(operand), steps
        else:
            met = {0x15: accumulator == operand, 0x35: accumulator >= operand}[operation]
            counter += if_true if met else if_false


def verdict(machine: str, number: int, *arguments: int, notify: bool = False) -> int:
    """Return what the filter of a machine answers to one of its own calls."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    return run(program(machine, notify=notify), number, padded, ARCHITECTURES[machine])[0]


def number_of(name: str, machine: str) -> int:
    """Return the number of a call."""
    return system_calls()[name].numbers[machine]


def cases(machine: str) -> list[tuple[int, tuple[int, ...]]]:
    """Return numbers with arguments: all that a kernel may have, and others; more where they count."""
    beyond = [X32 - 1, X32, X32 + 59, X32 + 521, 0x7FFFFFFF, 0x80000000, HIGHEST - 1, HIGHEST]
    found: list[tuple[int, tuple[int, ...]]]
    found = [(number, (0,) * 6) for number in (*range(2048), *beyond)]
    for number, call in by_number(machine).items():
        if call.condition:
            at = call.condition.argument
            found += [(number, tuple(v if i == at else 0 for i in range(6))) for v in ARGUMENTS]
    return found


@each_machine
@pytest.mark.parametrize("notify", [True, False])
def test_filter_does_what_the_list_says(machine: str, notify: bool) -> None:
    """For every number and every argument that counts, the program and the list agree."""
    code = program(machine, notify=notify)
    wrong = []
    for number, arguments in cases(machine):
        call = seccomp_profile.find(machine, number)
        error = call.answer(arguments)
        refused = NOTIFY if notify and not call.silent else 0x00050000 | error
        expected = refused if error else ALLOW
        found, _ = run(code, number, arguments, ARCHITECTURES[machine])
        if found != expected:
            wrong.append((number, arguments, hex(found), hex(expected)))
    assert wrong == []


@each_machine
def test_what_no_kernel_knows_does_not_exist(machine: str) -> None:
    """A number beyond the list is ENOSYS and on record: programs fall back, and a newer kernel opens nothing."""
    known = by_number(machine)
    others = [number for number in (*range(2048), X32 + 101, HIGHEST - 1) if number not in known]
    assert {verdict(machine, number) for number in others} == {ENOSYS}
    assert {verdict(machine, number, notify=True) for number in others} == {NOTIFY}


@each_machine
def test_call_that_a_tracer_has_refused_is_on_record_once(machine: str) -> None:
    """A tracer makes the number of such a call -1; what is left of it does nothing and says nothing."""
    assert {verdict(machine, HIGHEST, notify=notify) for notify in (True, False)} == {ENOSYS}


@each_machine
@pytest.mark.parametrize("name", sorted(REFUSED_SO_FAR.split()))
def test_what_was_refused_still_is(name: str, machine: str) -> None:
    """The list allows nothing that the deny list before it refused."""
    number = system_calls()[name].numbers.get(machine)
    assert number is None or verdict(machine, number) == EPERM


@each_machine
@pytest.mark.parametrize("name", sorted(TRACERS_OWN))
def test_tracer_may_do_what_it_refuses_to_others(name: str, machine: str) -> None:
    """Where commands are traced, the filter leaves the tracer's own calls to it."""
    code = program(machine, notify=True, exempt=TRACERS_OWN)
    number, arch = number_of(name, machine), ARCHITECTURES[machine]
    assert run(code, number, (0,) * 6, arch)[0] == ALLOW


@each_machine
def test_another_table_is_killed(machine: str) -> None:
    """A call with the numbers of the 32-bit table ends the process, whatever the number."""
    code = program(machine, notify=True)
    answers = {run(code, n, (0,) * 6, FOREIGN[machine])[0] for n in range(600)}
    assert answers == {KILL}


@each_machine
def test_guest_answers_as_the_list_says(machine: str) -> None:
    """What is announced gets EPERM from the guest where the list says so, else ENOSYS."""
    eperm = set(seccomp_program.filters(traced=False)[machine]["eperm"])
    for number, call in by_number(machine).items():
        assert (number in eperm) == (call.error == errno.EPERM)


@each_machine
def test_clone3_falls_back_to_clone(machine: str) -> None:
    """A call whose flags a filter cannot read does not exist; no record, the C library tries it each time."""
    number = number_of("clone3", machine)
    assert {verdict(machine, number, notify=notify) for notify in (True, False)} == {ENOSYS}


@each_machine
@pytest.mark.parametrize("flag", NEW_NAMESPACES)
def test_a_new_namespace_is_not_permitted(flag: int, machine: str) -> None:
    """No process is started in a namespace of its own."""
    number = number_of("clone", machine)
    assert {verdict(machine, number, flag | more) for more in (0, SIGCHLD, CLONE_VM)} == {EPERM}


@each_machine
def test_a_thread_is_permitted(machine: str) -> None:
    """Threads and plain children are started by the same call, but none that a tracer does not follow."""
    flags = (CLONE_THREAD | CLONE_VM, SIGCHLD, CLONE_UNTRACED | SIGCHLD)
    answers = [verdict(machine, number_of("clone", machine), flag) for flag in flags]
    assert answers == [ALLOW, ALLOW, EPERM]


@each_machine
@pytest.mark.parametrize("family", range(48))
def test_only_local_and_internet_sockets_are_permitted(family: int, machine: str) -> None:
    """AF_UNIX, AF_INET and AF_INET6 exist; netlink, packet, vsock and the like do not."""
    expected = ALLOW if family in (1, 2, 10) else EPERM
    assert expected == verdict(machine, number_of("socket", machine), family)


@each_machine
def test_nothing_can_be_typed_into_a_terminal(machine: str) -> None:
    """The two requests that put text into a terminal's input are refused, others are not."""
    number = number_of("ioctl", machine)
    answers = [verdict(machine, number, 0, request) for request in (TIOCSTI, TIOCLINUX, TIOCGWINSZ)]
    assert answers == [EPERM, EPERM, ALLOW]


@pytest.mark.parametrize(
    ("machine", "name", "before"),
    [("x86_64", "mknod", 1), ("x86_64", "mknodat", 2), ("aarch64", "mknodat", 2)],
)
def test_device_nodes_cannot_be_made(machine: str, name: str, before: int) -> None:
    """Pipes, sockets and files can be made by mknod, but neither character nor block devices."""
    kinds = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFREG)
    number, skipped = number_of(name, machine), [0] * before
    answers = [verdict(machine, number, *skipped, kind | 0o666) for kind in kinds]
    assert answers == [EPERM, EPERM, ALLOW, ALLOW, ALLOW]


@each_machine
def test_upper_half_of_an_argument_hides_nothing(machine: str) -> None:
    """The kernel takes 32 bits of these arguments; so does the filter."""
    high = 1 << 32
    answers = [
        verdict(machine, number_of("ioctl", machine), 0, high | TIOCSTI),
        verdict(machine, number_of("socket", machine), high | 16),
        verdict(machine, number_of("clone", machine), high | NEW_NAMESPACES[-1]),
    ]
    assert answers == [EPERM] * 3


@each_machine
@pytest.mark.parametrize("notify", [True, False])
def test_an_answer_is_found_by_halving(machine: str, notify: bool) -> None:
    """No call waits for the filter to go through the list: a dozen instructions, conditions aside."""
    code, arch = program(machine, notify=notify), ARCHITECTURES[machine]
    plain = [n for n, call in by_number(machine).items() if not call.condition]
    assert max(run(code, number, (0,) * 6, arch)[1] for number in plain) <= 12


def test_every_number_stands_once() -> None:
    """No two calls of an architecture have one number: the second would hide the first."""
    for machine in MACHINES:
        numbers = [c.numbers[machine] for c in system_calls().values() if machine in c.numbers]
        assert len(numbers) == len(set(numbers))


@each_machine
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    """Each call that the installed headers know is in the list under its number."""
    header = next((path for path in HEADERS[machine] if path.exists()), None)
    if header is None:
        pytest.skip("no kernel headers are installed")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    # of the generic table: those of 32-bit kernels, what only others have, and a name of its own
    absent = re.compile(
        r".*_time64|clock_\w+64|timer(fd)?_\w+64|syscalls|arch_specific\w+|sync_file_range2"
    )
    renamed = {"fstatat": "newfstatat"} if machine == "aarch64" else {}
    listed = {name: call.numbers.get(machine) for name, call in system_calls().items()}
    expected = {renamed.get(n, n): int(number) for n, number in defined if not absent.fullmatch(n)}
    assert {name: listed.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("machine", "number", "arguments", "expected"),
    [
        ("x86_64", 443, (), "quotactl_fd"),
        ("x86_64", 41, (16, 3, 0), "socket(AF_NETLINK)"),
        ("aarch64", 198, (1000,), "socket(AF_1000)"),
        ("x86_64", 56, (0x10000011,), "clone(CLONE_NEW…)"),
        ("x86_64", 56, (CLONE_UNTRACED,), "clone(CLONE_UNTRACED)"),
        ("x86_64", 16, (0, 1 << 32 | TIOCSTI), "ioctl(TIOCSTI)"),
        ("aarch64", 33, (0, 0, stat.S_IFBLK), "mknod(device)"),
        ("x86_64", 4095, (), "4095"),
        ("x86_64", X32 + 521, (), "x32(521)"),
        ("aarch64", X32 + 521, (), str(X32 + 521)),
        ("x86_64", -1, (), "-1"),
    ],
)
def test_refused_call_has_a_name(
    machine: str, number: int, arguments: tuple[int, ...], expected: str
) -> None:
    """The trace says which call it was, and what of it was refused; a number where there is no name."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    assert seccomp_profile.find(machine, number).label(padded) == expected


@pytest.mark.parametrize(
    "line", ["read 0", "read 0 63 maybe", "read x 63 allow", "read 0 63 allow fd=1", ""]
)
def test_line_that_is_not_understood_is_refused(line: str) -> None:
    """A list with a fault in it makes no filter."""
    with pytest.raises(ValueError, match="seccomp profile"):
        seccomp_profile._parse(line)


def test_trials_of_the_audit_are_refused() -> None:
    """What each container's audit tries is refused by the list, at least one in each way."""
    for machine, traced in product(MACHINES, (True, False)):
        trials = seccomp_profile.trials(machine, traced=traced)
        answers = {seccomp_profile.find(machine, n).answer(arguments) for n, arguments in trials}
        assert answers == {errno.EPERM, errno.ENOSYS}
