"""Effects from the log of the guest's tracer.

The log is strace's own text (``strace -f -y -q``): every string of a traced program stands in it
quoted and escaped, so that nothing a program says can look like a line of the tracer. It is read
from left to right, never searched for what looks like a result.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Unpack

from sandbox.enums import EffectAction, EffectKind, EffectSource, EffectStatus
from sandbox.isolation.effects import Traced
from sandbox.trace.effects import (
    FileAction,
    FileDetail,
    FileEffect,
    NetworkAction,
    NetworkDetail,
    NetworkEffect,
    ProcessAction,
    ProcessDetail,
    ProcessEffect,
)

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_OVER = re.compile(r"\+\+\+ (?:exited with (\d+)|killed by (SIG\w+).*) \+\+\+")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"(?:\.\.\.)?|<[^<>]*>|[\[{(]|[\]})]|, |[^"<\[{(\]}),]+|.', re.DOTALL
)
_RESULT = re.compile(r"\s+= (-?\d+|\?|0x[0-9a-f]+)(?:<([^<>]*)>)?(?: (E[A-Z0-9]+))?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f", "a": "\a", "b": "\b", "e": "\x1b"}
_ANNOTATED = re.compile(r"[^<]*<([^<>]*)>")

_REFUSED = frozenset({"EPERM", "EACCES", "EROFS"})
_FAILED = frozenset({"ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE"})
_UNREACHED = frozenset(
    {"ENETUNREACH", "EHOSTUNREACH", "EPERM", "EACCES", "EADDRNOTAVAIL", "EAFNOSUPPORT"}
)
_SYSTEM = (
    "/usr/",
    "/lib",
    "/bin/",
    "/sbin/",
    "/etc/",
    "/proc/self/",
    "/proc/filesystems",
    "/sys/",
    "pipe:",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/random",
    "/dev/full",
)
"""Where programs and libraries lie, and what they read of themselves: reading there is no effect."""
_SIGNALS = ("kill", "tkill", "tgkill", "pidfd_send_signal")
_IDENTITY = (
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
)
_WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")

_OWN_LINK = re.compile(r"/proc/(?:(?:thread-)?self|(?P<pid>\d+))/(?P<to>cwd|root)(?=/|$)")
"""Links of /proc that lead to the same file by another name."""


@dataclass(frozen=True)
class _Call:
    """One system call as logged."""

    pid: int
    name: str
    arguments: list[str]
    result: str
    path: str
    """What a returned descriptor stands for."""
    error: str
    injected: bool


@dataclass
class _Process:
    """What is known of a process."""

    cwd: str
    parent: int | None = None
    last: ProcessEffect | None = None
    """The effect of its last exec."""
    handed_out: bool = False


@dataclass
class Reading:
    """Reads the log of one call's commands, piece by piece."""

    cwd: str
    processes: dict[int, _Process] = field(default_factory=dict)
    pending: dict[int, str] = field(default_factory=dict)
    unread: int = 0
    """Lines that tell of a call, but not what it was."""

    def read(self, log: str) -> list[Traced]:
        """Return the effects of a further piece of the log, in order."""
        found: list[Traced] = []
        for line in log.split("\n"):
            if (parts := _LINE.fullmatch(line)) and not _uninteresting(line):
                try:
                    found += list(self._event(int(parts[1]), parts[2]))
                except (IndexError, ValueError):  # half of a call whose other half is not there
                    self.unread += 1
        for process in self.processes.values():
            process.handed_out = process.last is not None
        return found

    def _event(self, pid: int, text: str) -> Iterator[Traced]:
        if over := _OVER.fullmatch(text):
            yield from self._ended(pid, over[1], over[2])
            return
        if text.endswith(_UNFINISHED):
            self.pending[pid] = text.removesuffix(_UNFINISHED)
            return
        if resumed := _RESUMED.fullmatch(text):
            text = self.pending.pop(pid, f"{resumed[1]}(") + resumed[2]
        call = _parsed(pid, text)
        if call is None:
            return
        if call.injected:
            yield _process(EffectAction.SYSCALL, call.name, EffectStatus.DENIED, pid=pid)
        elif reader := _READERS.get(call.name):
            yield from reader(self, call)

    def _ended(self, pid: int, code: str | None, signal: str | None) -> Iterator[Traced]:
        process = self.processes.pop(pid, None)
        self.pending.pop(pid, None)
        if process is None or process.last is None:
            return
        detail = process.last["detail"]
        if process.handed_out:
            ended = _process(EffectAction.EXIT, process.last["target"], EffectStatus.DONE, pid=pid)
            detail = ended["detail"]
            yield ended
        if code is not None:
            detail["exit"] = int(code)
        else:
            detail["signal"] = str(signal)

    def process(self, pid: int) -> _Process:
        """Return what is known of a process; one not seen before starts where the command did."""
        return self.processes.setdefault(pid, _Process(self.cwd))

    def path(self, call: _Call, name: str, folder: str = "") -> str:
        """Return the absolute path that a call's arguments name."""
        base = _annotation(folder) or self.process(call.pid).cwd
        path = posixpath.normpath(posixpath.join(base, _text(name)))
        link = _OWN_LINK.match(path)
        if link and link["pid"] in (None, str(call.pid)):
            of = self.process(call.pid).cwd if link["to"] == "cwd" else "/"
            path = posixpath.join(of, path[link.end() :].lstrip("/"))
        return path


def _uninteresting(line: str) -> bool:
    """Return whether a line is an opening that is no effect: most lines are."""
    if " openat(" not in line or "<unfinished" in line:
        return False
    if line.endswith("ENOENT (No such file or directory)"):
        return True
    at = line.rfind("= ")
    where = line.find("<", at)
    return where > 0 and "O_RDONLY" in line and line.startswith(_SYSTEM, where + 1)


def _parsed(pid: int, text: str) -> _Call | None:
    name, opened, rest = text.partition("(")
    if not opened or not name.isidentifier():
        return None
    arguments: list[str] = []
    current: list[str] = []
    depth, at = 0, 0
    for token in _TOKEN.finditer(rest):
        sign = token[0]
        if sign in "[{(" and len(sign) == 1:
            depth += 1
        elif sign in "]})" and len(sign) == 1:
            if depth == 0:
                at = token.end()
                break
            depth -= 1
        elif sign == ", " and depth == 0:
            arguments.append("".join(current))
            current = []
            continue
        current.append(sign)
    else:
        return None
    arguments.append("".join(current))
    result = _RESULT.match(rest, at)
    if result is None:
        return None
    injected = rest.endswith("(INJECTED)")
    path = _unescaped(result[2] or "")
    return _Call(pid, name, arguments, result[1], path, result[3] or "", injected)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def plain(found: re.Match[str]) -> str:
        if found[1] is not None:
            return chr(int(found[1], 8) & 0xFF)
        if found[2] is not None:
            return chr(int(found[2], 16))
        return _PLAIN.get(found[3], found[3])

    raw = _ESCAPE.sub(plain, text)
    try:
        return raw.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return raw


def _text(argument: str) -> str:
    found = _STRING.match(argument)
    return _unescaped(found[1]) if found else argument


def _annotation(argument: str) -> str:
    found = _ANNOTATED.fullmatch(argument)
    return _unescaped(found[1]) if found else ""


def _process(
    action: ProcessAction,
    target: str,
    status: EffectStatus,
    error: str = "",
    /,
    **detail: Unpack[ProcessDetail],
) -> ProcessEffect:
    if error:
        detail["error"] = error
    return {
        "kind": EffectKind.PROCESS,
        "action": action,
        "target": target,
        "status": status,
        "source": EffectSource.TRACE,
        "detail": detail,
    }


def _file(
    action: FileAction,
    target: str,
    status: EffectStatus,
    error: str = "",
    /,
    **detail: Unpack[FileDetail],
) -> FileEffect:
    if error:
        detail["error"] = error
    return {
        "kind": EffectKind.FILE,
        "action": action,
        "target": target,
        "status": status,
        "source": EffectSource.TRACE,
        "detail": detail,
    }


def _use_of_network(
    action: NetworkAction,
    target: str,
    status: EffectStatus,
    error: str = "",
    /,
    **detail: Unpack[NetworkDetail],
) -> NetworkEffect:
    if error:
        detail["error"] = error
    return {
        "kind": EffectKind.NETWORK,
        "action": action,
        "target": target,
        "status": status,
        "source": EffectSource.TRACE,
        "detail": detail,
    }


def _status(call: _Call) -> EffectStatus | None:
    """Return what became of a call on a file; None where it failed for want of anything to act on."""
    if not call.error:
        return EffectStatus.DONE
    if call.error in _REFUSED:
        return EffectStatus.DENIED
    return EffectStatus.ATTEMPTED if call.error in _FAILED else None


def _exec(reading: Reading, call: _Call) -> Iterator[Traced]:
    at = call.name == "execveat"
    name, given = call.arguments[1:3] if at else call.arguments[:2]
    path = reading.path(call, name, call.arguments[0] if at else "")
    status = _status(call)
    if status is None:
        return
    process = reading.process(call.pid)
    argv = [_unescaped(found) for found in _STRING.findall(given)]
    effect = _process(
        EffectAction.EXEC, path, status, call.error, pid=call.pid, parent=process.parent, argv=argv
    )
    if status == EffectStatus.DONE:
        process.last, process.handed_out = effect, False
    yield effect


def _fork(reading: Reading, call: _Call) -> Iterator[Traced]:
    if not call.error and call.result.isdigit():
        parent = reading.process(call.pid)
        child = reading.processes.setdefault(int(call.result), _Process(parent.cwd))
        child.parent = call.pid
        child.cwd = child.cwd if child.cwd != reading.cwd else parent.cwd
    yield from ()


def _chdir(reading: Reading, call: _Call) -> Iterator[Traced]:
    if not call.error:
        first = call.arguments[0]
        process = reading.process(call.pid)
        process.cwd = _annotation(first) if call.name == "fchdir" else reading.path(call, first)
    yield from ()


def _open(reading: Reading, call: _Call) -> Iterator[Traced]:
    at = call.name.startswith("openat")
    name = call.arguments[1 if at else 0]
    flags = ",".join(call.arguments[2 if at else 1 :]) if call.name != "creat" else "O_WRONLY"
    status = _status(call)
    if status is None:
        return
    path = call.path or reading.path(call, name, call.arguments[0] if at else "")
    writes = any(flag in flags for flag in _WRITING)
    own = (*_SYSTEM, f"/proc/{call.pid}/")
    if status == EffectStatus.DONE and (path.startswith(own) or "O_DIRECTORY" in flags):
        return
    yield _file(EffectAction.WRITE if writes else EffectAction.READ, path, status, call.error)


def _named(
    action: FileAction, name: int, folder: int | None = None, **detail: Unpack[FileDetail]
) -> _Reader:
    """Return the reader of a call that acts on one path."""

    def read(reading: Reading, call: _Call) -> Iterator[Traced]:
        status = _status(call)
        if status is None or (action == EffectAction.MODE and status == EffectStatus.DONE):
            return
        path = reading.path(
            call, call.arguments[name], "" if folder is None else call.arguments[folder]
        )
        yield _file(action, path, status, call.error, **detail)

    return read


def _moved(
    names: tuple[int, int], folders: tuple[int | None, int | None], *, links: bool = False
) -> _Reader:
    """Return the reader of a call that acts on two paths: the one there was, the one there is."""

    def read(reading: Reading, call: _Call) -> Iterator[Traced]:
        status = _status(call)
        if status is None:
            return
        old, new = (
            reading.path(call, call.arguments[n], "" if f is None else call.arguments[f])
            for n, f in zip(names, folders, strict=True)
        )
        if links:
            yield _file(EffectAction.CREATE, new, status, call.error, type="link", to=old)
        else:
            yield _file(EffectAction.RENAME, old, status, call.error, to=new)

    return read


def _refused_socket(reading: Reading, call: _Call) -> Iterator[Traced]:
    if call.error in _REFUSED:
        target = ", ".join(call.arguments[:2])
        yield _use_of_network(
            EffectAction.SOCKET, target, EffectStatus.DENIED, call.error, pid=call.pid
        )


def _refused(reading: Reading, call: _Call) -> Iterator[Traced]:
    """Read a system call, or a signal to a process, that is an effect only if it was refused."""
    if call.error in _REFUSED:
        signal = call.name in _SIGNALS
        target = f"process {call.arguments[0]}" if signal else call.name
        action: ProcessAction = EffectAction.SIGNAL if signal else EffectAction.SYSCALL
        yield _process(action, target, EffectStatus.DENIED, call.error, pid=call.pid)


_Reader = Callable[[Reading, _Call], Iterator[Traced]]


def _network(reading: Reading, call: _Call) -> Iterator[Traced]:
    from sandbox.isolation import socket_addresses

    address = socket_addresses.address(" ".join(call.arguments))
    payload = next((_STRING.search(a) for a in call.arguments[1:] if '"' in a), None)
    asked = (
        socket_addresses.asked(_unescaped_bytes(payload[1]))
        if payload and call.name.startswith("send")
        else ""
    )
    if asked:
        yield _use_of_network(
            EffectAction.RESOLVE, asked, EffectStatus.ATTEMPTED, call.error, to=address
        )
        return
    if not address or address == "unix:/var/run/nscd/socket":
        return
    status = EffectStatus.DONE
    if call.error:
        status = EffectStatus.DENIED if call.error in _UNREACHED else EffectStatus.ATTEMPTED
    action = _NETWORK_ACTIONS.get(call.name, EffectAction.SEND)
    yield _use_of_network(action, address, status, call.error)


def _unescaped_bytes(text: str) -> bytes:
    def plain(found: re.Match[str]) -> str:
        if found[1] is not None:
            return chr(int(found[1], 8) & 0xFF)
        return chr(int(found[2], 16)) if found[2] is not None else _PLAIN.get(found[3], found[3])

    return _ESCAPE.sub(plain, text).encode("latin-1", "replace")


_NETWORK_ACTIONS: Mapping[str, NetworkAction] = {
    "connect": EffectAction.CONNECT,
    "bind": EffectAction.BIND,
}
_READERS: Mapping[str, _Reader] = {
    "execve": _exec,
    "execveat": _exec,
    **dict.fromkeys(("clone", "fork", "vfork"), _fork),
    **dict.fromkeys(("chdir", "fchdir"), _chdir),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), _open),
    "unlink": _named(EffectAction.DELETE, 0),
    "rmdir": _named(EffectAction.DELETE, 0),
    "unlinkat": _named(EffectAction.DELETE, 1, 0),
    "mkdir": _named(EffectAction.CREATE, 0, type="folder"),
    "mkdirat": _named(EffectAction.CREATE, 1, 0, type="folder"),
    "mknod": _named(EffectAction.CREATE, 0, type="special"),
    "mknodat": _named(EffectAction.CREATE, 1, 0, type="special"),
    "truncate": _named(EffectAction.WRITE, 0),
    **dict.fromkeys(("chmod", "chown", "lchown"), _named(EffectAction.MODE, 0)),
    **dict.fromkeys(("fchmodat", "fchownat"), _named(EffectAction.MODE, 1, 0)),
    "rename": _moved((0, 1), (None, None)),
    **dict.fromkeys(("renameat", "renameat2"), _moved((1, 3), (0, 2))),
    "link": _moved((0, 1), (None, None), links=True),
    "linkat": _moved((1, 3), (0, 2), links=True),
    "symlink": _moved((0, 1), (None, None), links=True),
    "symlinkat": _moved((0, 2), (None, 1), links=True),
    **dict.fromkeys(("connect", "bind", "sendto", "sendmsg", "sendmmsg"), _network),
    "socket": _refused_socket,
    **dict.fromkeys((*_SIGNALS, *_IDENTITY), _refused),
}
"""System call → what it means as an effect."""
