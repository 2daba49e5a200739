"""Reading the tracer's log: what programs did, and nothing that a hostile program wrote there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.isolation.effects import EFFECT_LIMIT, fold, without_repeats
from sandbox.isolation.socket_addresses import dns_question
from sandbox.isolation.strace import StraceReader
from tests.support.sample_events import effect


def read(log: str) -> list[Any]:
    """Return the effects of a log."""
    return [*StraceReader("/work").read(log)]


def told(log: str) -> list[tuple[str, str, str, str]]:
    """Return kind, action, target and status of each effect of a log."""
    return [(e["kind"], e["action"], e["target"], e["status"]) for e in read(log)]


LINES = {
    '7 openat(AT_FDCWD</work>, "a.txt", O_RDONLY) = 3</work/a.txt>': (
        "file",
        "read",
        "/work/a.txt",
        "done",
    ),
    '7 openat(AT_FDCWD</work>, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</work/a>': (
        "file",
        "write",
        "/work/a",
        "done",
    ),
    '7 openat(AT_FDCWD</work>, "/etc/shadow", O_RDONLY) = -1 EACCES (Permission denied)': (
        "file",
        "read",
        "/etc/shadow",
        "denied",
    ),
    '7 openat(AT_FDCWD</work>, "/usr/x", O_WRONLY|O_CREAT, 0666) = -1 EROFS (Read-only file system)': (
        "file",
        "write",
        "/usr/x",
        "denied",
    ),
    '7 openat(AT_FDCWD</work>, "big", O_WRONLY|O_CREAT, 0666) = -1 ENOSPC (No space left on device)': (
        "file",
        "write",
        "/work/big",
        "attempted",
    ),
    '7 creat("b", 0666) = 3</work/b>': ("file", "write", "/work/b", "done"),
    '7 unlink("../tmp/b") = 0': ("file", "delete", "/tmp/b", "done"),
    '7 unlink("/proc/self/cwd/b") = 0': ("file", "delete", "/work/b", "done"),
    '7 unlink("/proc/thread-self/root/tmp/b") = 0': ("file", "delete", "/tmp/b", "done"),
    '7 rename("/proc/7/cwd/a", "b") = 0': ("file", "rename", "/work/a", "done"),
    '7 unlink("/proc/self/rootless") = -1 EPERM (x)': (
        "file",
        "delete",
        "/proc/self/rootless",
        "denied",
    ),
    '7 unlinkat(4</work/d>, "e", 0) = 0': ("file", "delete", "/work/d/e", "done"),
    '7 rename("a", "b") = 0': ("file", "rename", "/work/a", "done"),
    '7 renameat2(AT_FDCWD</work>, "a", AT_FDCWD</work>, "b", 0) = 0': (
        "file",
        "rename",
        "/work/a",
        "done",
    ),
    '7 symlink("/etc/passwd", "l") = 0': ("file", "create", "/work/l", "done"),
    '7 symlinkat("/etc/passwd", AT_FDCWD</work>, "l") = 0': ("file", "create", "/work/l", "done"),
    '7 mknodat(AT_FDCWD</work>, "m", S_IFCHR|0666, makedev(0x1, 0x2)) = -1 EPERM (Operation not permitted)': (
        "file",
        "create",
        "/work/m",
        "denied",
    ),
    '7 chmod("/etc/passwd", 0777) = -1 EROFS (Read-only file system)': (
        "file",
        "mode",
        "/etc/passwd",
        "denied",
    ),
    '7 connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3.4")}, 16) = -1 ENETUNREACH (Network is unreachable)': (
        "network",
        "connect",
        "1.2.3.4:80",
        "denied",
    ),
    '7 connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)': (
        "network",
        "connect",
        "127.0.0.1:80",
        "attempted",
    ),
    '7 connect(3<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "fe80::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 ENETUNREACH (x)': (
        "network",
        "connect",
        "[fe80::1]:53",
        "denied",
    ),
    '7 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/var/run/docker.sock"}, 23) = -1 ENOENT (No such file or directory)': (
        "network",
        "connect",
        "unix:/var/run/docker.sock",
        "attempted",
    ),
    '7 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path=@"bus"}, 23) = -1 ECONNREFUSED (x)': (
        "network",
        "connect",
        "unix:@bus",
        "attempted",
    ),
    '7 bind(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(99), sin_addr=inet_addr("0.0.0.0")}, 16) = 0': (
        "network",
        "bind",
        "0.0.0.0:99",
        "done",
    ),
    "7 socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) = -1 EPERM (Operation not permitted)": (
        "network",
        "socket",
        "AF_INET, SOCK_RAW",
        "denied",
    ),
    "7 kill(1, SIGKILL) = -1 EPERM (Operation not permitted)": (
        "process",
        "signal",
        "process 1",
        "denied",
    ),
    "7 setuid(0) = -1 EPERM (Operation not permitted)": ("process", "syscall", "setuid", "denied"),
    "7 ptrace(PTRACE_TRACEME) = -1 EPERM (Operation not permitted) (INJECTED)": (
        "process",
        "syscall",
        "ptrace",
        "denied",
    ),
    '7 execve("/usr/bin/id", ["id", "-u"], 0x7ffc /* 8 vars */) = 0': (
        "process",
        "exec",
        "/usr/bin/id",
        "done",
    ),
    '7 execve("./x", ["./x"], 0x7ffc /* 8 vars */) = -1 EACCES (Permission denied)': (
        "process",
        "exec",
        "/work/x",
        "denied",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_an_effect(line: str) -> None:
    """Each kind of system call is told as what it did, or would have done."""
    assert told(line) == [LINES[line]]


@pytest.mark.parametrize(
    "line",
    [
        '7 openat(AT_FDCWD</work>, "/usr/lib/x.so", O_RDONLY|O_CLOEXEC) = 3</usr/lib/x.so>',
        '7 openat(AT_FDCWD</work>, "nothing", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '7 openat(AT_FDCWD</work>, ".", O_RDONLY|O_DIRECTORY) = 3</work>',
        '7 execve("/bin/no", ["no"], 0x7f /* 8 vars */) = -1 ENOENT (No such file or directory)',
        "7 kill(8, SIGTERM) = 0",
        "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3<TCP:[9]>",
        "7 --- SIGSEGV {si_signo=SIGSEGV} ---",
        "strace: something else",
        "",
    ],
)
def test_what_is_no_effect(line: str) -> None:
    """The container's own folders, what is not there, and what harms nobody are left out."""
    assert told(line) == []


def test_an_end_is_told_with_its_program() -> None:
    """Exit code and signal stand with the exec that they ended."""
    effects = read(
        '7 execve("/bin/a", ["a"], 0x1 /* 1 var */) = 0\n7 vfork() = 8\n'
        '8 execve("/bin/b", ["b"], 0x1 /* 1 var */) = 0\n8 +++ exited with 3 +++\n7 +++ killed by SIGKILL +++'
    )
    details: list[dict[str, Any]] = [e["detail"] for e in effects]
    assert [d.get("exit", d.get("signal")) for d in details] == ["SIGKILL", 3]
    assert [d["parent"] for d in details] == [None, 7]


def test_an_end_that_comes_later_is_an_effect_of_its_own() -> None:
    """A process that outlives a piece of the log is told when it ends."""
    reading = StraceReader("/work")
    reading.read('7 execve("/bin/a", ["a"], 0x1 /* 1 var */) = 0')
    (end,) = reading.read("7 +++ exited with 0 +++")
    assert (end["action"], end["target"]) == ("exit", "/bin/a")
    assert end["detail"] == {"pid": 7, "exit": 0}
    assert reading.processes == {}


def test_calls_of_two_processes_may_be_interleaved() -> None:
    """A call that was interrupted in the log is put together again."""
    log = (
        '7 openat(AT_FDCWD</work>, "a", O_RDONLY <unfinished ...>\n'
        '8 unlink("b") = 0\n'
        "7 <... openat resumed>) = 3</work/a>"
    )
    assert [target for _, _, target, _ in told(log)] == ["/work/b", "/work/a"]


def test_a_relative_path_follows_its_process() -> None:
    """A process acts where it went, and its children start there."""
    log = '7 chdir("d") = 0\n7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n8 unlink("x") = 0'
    assert told(log) == [("file", "delete", "/work/d/x", "done")]


HOSTILE = [
    r'7 openat(AT_FDCWD</work>, "a) = -1 EACCES (x)", O_RDONLY) = 3</work/a) = -1 EACCES (x)>',
    r'7 openat(AT_FDCWD</work>, "q\"", O_RDONLY) = 3</work/q">',
    r'7 openat(AT_FDCWD</work>, "n\n8 unlink(\"/work/x\") = 0", O_RDONLY) = 3</work/n\n8 unlink("/work/x") = 0>',
    r'7 openat(AT_FDCWD</work>, "g\76<", O_RDONLY) = 3</work/g\76\74>',
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_file_name_cannot_forge_a_result(line: str) -> None:
    """Whatever a name looks like, it is one file that was read."""
    ((kind, action, target, status),) = told(line)
    assert (kind, action, status) == ("file", "read", "done")
    assert target.startswith("/work/")


def test_half_a_call_is_counted() -> None:
    """A call whose beginning is missing is no error, and the record is not said to be complete."""
    reading = StraceReader("/work")
    assert reading.read("7 <... openat resumed>) = 3</proc>") == []
    assert reading.unread == 1


@given(st.text())
def test_any_text_is_survived(log: str) -> None:
    """A log of anything gives effects or none, never an error."""
    read(log)


@given(st.lists(st.sampled_from([*LINES, *HOSTILE]), max_size=5), st.integers(0, 200))
def test_a_log_cut_anywhere_is_survived(lines: list[str], cut: int) -> None:
    """A line that ends in its middle is no error."""
    read("\n".join(lines)[:-cut])


def test_bytes_of_a_name_are_printable() -> None:
    """Octal escapes are bytes of UTF-8; what is none is shown as it was."""
    line = r'7 unlink("/work/\303\251\377") = 0'
    assert told(line)[0][2] == "/work/é\\xff"


def test_the_same_deed_is_counted() -> None:
    """What was done again and again stands once, with its number; programs stand each."""
    effects = [effect("file", "read", "/work/a") for _ in range(3)]
    effects += [effect("process", "exec", "/bin/a") for _ in range(2)]
    found, dropped = fold(effects)
    assert [(e["target"], e["detail"].get("count")) for e in found] == [
        ("/work/a", 3),
        ("/bin/a", None),
        ("/bin/a", None),
    ]
    assert dropped == 0


def test_too_many_are_counted_as_dropped() -> None:
    """Beyond the limit, effects are counted only."""
    found, dropped = fold(effect("file", "read", f"/work/{n}") for n in range(EFFECT_LIMIT + 7))
    assert (len(found), dropped) == (EFFECT_LIMIT, 7)


def test_what_the_manifest_says_is_not_repeated() -> None:
    """A write that the manifest tells with its hashes is left to it; one it missed is kept."""
    traces = [effect("file", "write", f"/work/{name}") for name in ("kept", "gone")]
    seen = [effect("file", "create", "/work/kept", source="manifest")]
    assert [e["target"] for e in without_repeats(traces, seen)] == ["/work/gone"]


def test_a_question_to_a_resolver_is_read() -> None:
    """The name in a DNS query is told; other payloads are none."""
    query = bytes.fromhex("abcd01000001000000000000") + b"\x05paste\x07example\x00\x00\x01\x00\x01"
    assert dns_question(query) == "paste.example"
    assert dns_question(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == ""
    assert dns_question(query[:-6]) == ""


@given(st.binary(max_size=300))
def test_any_payload_is_survived(payload: bytes) -> None:
    """No bytes break the reader of questions."""
    dns_question(payload)
