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
from sandbox.isolation import socket_addresses
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
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))", re.DOTALL)
_PLAIN = dict(
    zip(b"ntrvfabe", (b"\n", b"\t", b"\r", b"\v", b"\f", b"\a", b"\b", b"\x1b"), strict=True)
)
_OPENING, _CLOSING = frozenset("[{("), frozenset("]})")
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
    cwd: str
    parent: int | None = None
    program: ProcessEffect | None = None
    """The effect of its latest exec."""
    reported: bool = False
    """Whether that effect was returned before."""


@dataclass
class StraceReader:
    """Reads the log of one call's commands, piece by piece."""

    cwd: str
    processes: dict[int, _Process] = field(default_factory=dict)
    pending: dict[int, str] = field(default_factory=dict)
    unread: int = 0
    """Lines that tell of a call, but not what it was."""

    def read(self, log: str) -> list[Traced]:
        """Return the effects of a further piece of the log, in order."""
        effects: list[Traced] = []
        for line in log.split("\n"):
            if (parts := _LINE.fullmatch(line)) and not _is_no_effect(line):
                try:
                    effects += self._event(int(parts[1]), parts[2])
                except (IndexError, ValueError):  # half of a call whose other half is not there
                    self.unread += 1
        for process in self.processes.values():
            process.reported = process.program is not None
        return effects

    def _event(self, pid: int, text: str) -> Iterator[Traced]:
        if over := _OVER.fullmatch(text):
            yield from self._end(pid, {"exit": int(over[1])} if over[1] else {"signal": over[2]})
            return
        if text.endswith(_UNFINISHED):
            self.pending[pid] = text.removesuffix(_UNFINISHED)
            return
        if resumed := _RESUMED.fullmatch(text):
            text = self.pending.pop(pid, f"{resumed[1]}(") + resumed[2]
        if call := _parse(pid, text):
            if call.injected:
                yield _process(EffectAction.SYSCALL, call.name, EffectStatus.DENIED, pid=pid)
            elif read := _READERS.get(call.name):
                yield from read(self, call)

    def _end(self, pid: int, how: ProcessDetail) -> Iterator[Traced]:
        process = self.processes.pop(pid, None)
        self.pending.pop(pid, None)
        if process is None or process.program is None:
            return
        if process.reported:
            target = process.program["target"]
            ended: ProcessDetail = {"pid": pid, **how}
            yield _process(EffectAction.EXIT, target, EffectStatus.DONE, **ended)
        else:
            process.program["detail"].update(how)

    def process(self, pid: int) -> _Process:
        """Return what is known of a process; one not seen before starts where the command did."""
        return self.processes.setdefault(pid, _Process(self.cwd))

    def path(self, call: _Call, name: int, folder: int | None = None) -> str:
        """Return the absolute path that a call's arguments name, relative to a folder or to its own."""
        base = "" if folder is None else _annotation(call.arguments[folder])
        string = _STRING.match(call.arguments[name])
        text = _unescape(string[1]) if string else call.arguments[name]
        path = posixpath.normpath(posixpath.join(base or self.process(call.pid).cwd, text))
        link = _OWN_LINK.match(path)
        if link and link["pid"] in (None, str(call.pid)):
            of = self.process(call.pid).cwd if link["to"] == "cwd" else "/"
            path = posixpath.join(of, path[link.end() :].lstrip("/"))
        return path


def _is_no_effect(line: str) -> bool:
    """Return whether a line is an opening that is no effect: most lines are."""
    if " openat(" not in line or "<unfinished" in line:
        return False
    if line.endswith("ENOENT (No such file or directory)"):
        return True
    at = line.rfind("= ")
    where = line.find("<", at)
    return where > 0 and "O_RDONLY" in line and line.startswith(_SYSTEM, where + 1)


def _parse(pid: int, text: str) -> _Call | None:
    name, bracket, rest = text.partition("(")
    if not bracket or not name.isidentifier():
        return None
    arguments: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(rest):
        depth += (token[0] in _OPENING) - (token[0] in _CLOSING)
        if depth < 0 or (token[0] == ", " and depth == 0):
            arguments.append(rest[start : token.start()])
            start = token.end()
        if depth < 0:
            break
    else:
        return None
    result = _RESULT.match(rest, token.end())
    if result is None:
        return None
    injected = rest.endswith("(INJECTED)")
    path = _unescape(result[2] or "")
    return _Call(pid, name, arguments, result[1], path, result[3] or "", injected)


def _unescape(text: str) -> str:
    return _bytes(text).decode("utf-8", "backslashreplace")


def _bytes(text: str) -> bytes:
    """Return what a program wrote, without strace's escapes."""

    def plain(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, sign = match.groups()
        if sign is not None:
            return _PLAIN.get(sign[0], sign)
        return bytes([int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)])

    return _ESCAPE.sub(plain, text.encode("utf-8", "backslashreplace"))


def _annotation(argument: str) -> str:
    annotation = _ANNOTATED.fullmatch(argument)
    return _unescape(annotation[1]) if annotation else ""


def _status(call: _Call) -> EffectStatus | None:
    """Return what became of a call on a file; None if it failed because there was nothing to act on."""
    if not call.error:
        return EffectStatus.DONE
    if call.error in _REFUSED:
        return EffectStatus.DENIED
    return EffectStatus.ATTEMPTED if call.error in _FAILED else None


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


def _exec(reader: StraceReader, call: _Call) -> Iterator[Traced]:
    at = call.name == "execveat"
    path = reader.path(call, 1, 0) if at else reader.path(call, 0)
    if status := _status(call):
        process = reader.process(call.pid)
        argv = [_unescape(text) for text in _STRING.findall(call.arguments[1 + at])]
        detail: ProcessDetail = {"pid": call.pid, "parent": process.parent, "argv": argv}
        effect = _process(EffectAction.EXEC, path, status, call.error, **detail)
        if status == EffectStatus.DONE:
            process.program, process.reported = effect, False
        yield effect


def _fork(reader: StraceReader, call: _Call) -> Iterator[Traced]:
    if not call.error and call.result.isdigit():
        parent = reader.process(call.pid)
        child = reader.processes.setdefault(int(call.result), _Process(parent.cwd))
        child.parent = call.pid
        child.cwd = child.cwd if child.cwd != reader.cwd else parent.cwd
    yield from ()


def _chdir(reader: StraceReader, call: _Call) -> Iterator[Traced]:
    if not call.error:
        by_handle = call.name == "fchdir"
        folder = _annotation(call.arguments[0]) if by_handle else reader.path(call, 0)
        reader.process(call.pid).cwd = folder
    yield from ()


def _open(reader: StraceReader, call: _Call) -> Iterator[Traced]:
    at = call.name.startswith("openat")
    flags = "O_WRONLY" if call.name == "creat" else call.arguments[1 + at]
    status = _status(call)
    if status is None:
        return
    path = call.path or (reader.path(call, 1, 0) if at else reader.path(call, 0))
    writes = any(flag in flags for flag in _WRITING)
    own = (*_SYSTEM, f"/proc/{call.pid}/")
    if status != EffectStatus.DONE or not (path.startswith(own) or "O_DIRECTORY" in flags):
        yield _file(EffectAction.WRITE if writes else EffectAction.READ, path, status, call.error)


def _path(
    action: FileAction, name: int, folder: int | None = None, **detail: Unpack[FileDetail]
) -> _Read:
    def read(reader: StraceReader, call: _Call) -> Iterator[Traced]:
        status = _status(call)
        if status is None or (action == EffectAction.MODE and status == EffectStatus.DONE):
            return
        yield _file(action, reader.path(call, name, folder), status, call.error, **detail)

    return read


def _two_paths(
    old: int,
    new: int,
    folders: tuple[int | None, int | None] = (None, None),
    *,
    links: bool = False,
) -> _Read:
    """Return what reads a call that acts on two paths: the one there was, the one there is."""

    def read(reader: StraceReader, call: _Call) -> Iterator[Traced]:
        if status := _status(call):
            before, after = reader.path(call, old, folders[0]), reader.path(call, new, folders[1])
            if links:
                yield _file(EffectAction.CREATE, after, status, call.error, type="link", to=before)
            else:
                yield _file(EffectAction.RENAME, before, status, call.error, to=after)

    return read


def _refused_socket(_: StraceReader, call: _Call) -> Iterator[Traced]:
    if call.error in _REFUSED:
        kind = ", ".join(call.arguments[:2])
        yield _use_of_network(
            EffectAction.SOCKET, kind, EffectStatus.DENIED, call.error, pid=call.pid
        )


def _refusal(_: StraceReader, call: _Call) -> Iterator[Traced]:
    """Read a system call, or a signal to a process, that is an effect only if it is refused."""
    if call.error in _REFUSED:
        signal = call.name in _SIGNALS
        target = f"process {call.arguments[0]}" if signal else call.name
        action: ProcessAction = EffectAction.SIGNAL if signal else EffectAction.SYSCALL
        yield _process(action, target, EffectStatus.DENIED, call.error, pid=call.pid)


_Read = Callable[[StraceReader, _Call], Iterator[Traced]]


def _network(reader: StraceReader, call: _Call) -> Iterator[Traced]:
    address = socket_addresses.address(" ".join(call.arguments))
    payload = next((_STRING.search(a) for a in call.arguments[1:] if '"' in a), None)
    sent = _bytes(payload[1]) if payload and call.name.startswith("send") else b""
    if name := socket_addresses.dns_question(sent):
        yield _use_of_network(
            EffectAction.RESOLVE, name, EffectStatus.ATTEMPTED, call.error, to=address
        )
    elif address and address != "unix:/var/run/nscd/socket":
        action = _NETWORK_ACTIONS.get(call.name, EffectAction.SEND)
        failure = EffectStatus.DENIED if call.error in _UNREACHED else EffectStatus.ATTEMPTED
        status = failure if call.error else EffectStatus.DONE
        yield _use_of_network(action, address, status, call.error)


_NETWORK_ACTIONS: Mapping[str, NetworkAction] = {
    "connect": EffectAction.CONNECT,
    "bind": EffectAction.BIND,
}
_READERS: Mapping[str, _Read] = {
    "execve": _exec,
    "execveat": _exec,
    **dict.fromkeys(("clone", "fork", "vfork"), _fork),
    **dict.fromkeys(("chdir", "fchdir"), _chdir),
    **dict.fromkeys(("open", "openat", "openat2", "creat"), _open),
    "unlink": _path(EffectAction.DELETE, 0),
    "rmdir": _path(EffectAction.DELETE, 0),
    "unlinkat": _path(EffectAction.DELETE, 1, 0),
    "mkdir": _path(EffectAction.CREATE, 0, type="folder"),
    "mkdirat": _path(EffectAction.CREATE, 1, 0, type="folder"),
    "mknod": _path(EffectAction.CREATE, 0, type="special"),
    "mknodat": _path(EffectAction.CREATE, 1, 0, type="special"),
    "truncate": _path(EffectAction.WRITE, 0),
    **dict.fromkeys(("chmod", "chown", "lchown"), _path(EffectAction.MODE, 0)),
    **dict.fromkeys(("fchmodat", "fchownat"), _path(EffectAction.MODE, 1, 0)),
    "rename": _two_paths(0, 1),
    **dict.fromkeys(("renameat", "renameat2"), _two_paths(1, 3, (0, 2))),
    "link": _two_paths(0, 1, links=True),
    "linkat": _two_paths(1, 3, (0, 2), links=True),
    "symlink": _two_paths(0, 1, links=True),
    "symlinkat": _two_paths(0, 2, (None, 1), links=True),
    **dict.fromkeys(("connect", "bind", "sendto", "sendmsg", "sendmmsg"), _network),
    "socket": _refused_socket,
    **dict.fromkeys((*_SIGNALS, *_IDENTITY), _refusal),
}
"""System call → what it means as an effect."""
