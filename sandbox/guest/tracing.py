"""Recording what a command does: strace around it, its log on a named pipe of the guest's own.

The tracer runs as the guest's uid: the agent can neither signal it nor open its log. It is
no parent of the command but a process beside it, and it goes on with what the command leaves
running, so that this is credited to the right call. Should it die, every traced system call of what
it traced fails (``--seccomp-bpf``), and the call is reported as a fault. A tracer around the spawner
(``sandbox.guest.spawner_client``) serves several calls, one after the other.

The log is handed out as it is; the engine reads it (``sandbox.isolation.strace``).
"""

from __future__ import annotations

import os
from itertools import count

from sandbox.guest.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sandbox.guest.loop import Loop

STRACE = "/usr/bin/strace"
LOG_LIMIT = 1024 * 1024
"""Bytes of log that are kept for one call; lines beyond are counted."""
LINE_LIMIT = 64 * 1024
"""Bytes of one line that are kept."""

_FOLDER = "/dev"  # a small tmpfs of root's: the agent can list it, not write to it
_numbers = count()

_EVIDENCE = (
    "execve,execveat,clone,fork,vfork,chdir,fchdir,"
    "open,openat,openat2,creat,truncate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat,chmod,fchmodat,chown,lchown,fchownat,"
    "socket,connect,bind,sendto,sendmsg,sendmmsg,"
    "kill,tkill,tgkill,pidfd_send_signal,setuid,setgid,setreuid,setregid,setresuid,setresgid,"
    "setgroups,capset,ptrace,process_vm_readv,process_vm_writev"
)
REFUSED = "ptrace,process_vm_readv,process_vm_writev"
"""Calls that the tracer itself needs, and refuses to what it traces."""


class Lost(Exception):
    """It is not known what was done."""


def arguments(log: str, user: str) -> list[str]:
    """Return what stands before a traced command.

    Args:
        log: Path of the log. The tracer opens it by itself: a descriptor that it inherited would
            go on to the command.
        user: Name of the user that the command runs as; empty to stay the guest's.
    """
    return [
        STRACE,
        "-DDD",
        "-f",
        "--seccomp-bpf",
        "-q",
        "-y",
        "-s",
        "4096",
        "-e",
        "signal=!SIGCHLD",
        "-e",
        f"trace=?{_EVIDENCE.replace(',', ',?')}",
        "-e",
        f"inject={REFUSED}:error=EPERM",
        *(("-u", user) if user else ()),
        "-o",
        log,
        "--",
    ]


class Tracing:
    """The log of one call's commands, until all that they started has ended; then of the next's."""

    def __init__(self, call: str, cwd: str, loop: Loop) -> None:
        self.call = call
        self._cwd = cwd
        self.log = f"{_FOLDER}/.log-{next(_numbers)}"
        """Path of the pipe; gone once the tracer has opened it."""
        os.mkfifo(self.log, 0o600)
        self._source = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        self._loop = loop
        self._kept = bytearray()
        self._partial = bytearray()
        self._dropped = 0
        self._handed_over: list[dict[str, Any]] = []
        self._pid = 0
        self._spawner = b""
        self.tracer = 0
        """The tracer's own pid, once it has logged anything."""
        self.seen_end = False
        """Whether the log says how the command itself ended."""
        self.begun = False
        """Whether the tracer has logged anything: a command begins after it only."""
        self.over = False
        """Whether the tracer has closed the log."""

    def started(self, pid: int, *, spawner: bool = False) -> None:
        """Follow the command's process, or the spawner's, whose own deeds are no effects."""
        self._pid = pid
        if spawner:
            self._spawner = b"%d " % pid
        self._loop.watch(self._source, READABLE, self._read)

    def serve(self, call: str, cwd: str, pid: int) -> None:
        """Go on with a further call's command, where nothing is left of the one before.

        What has been logged so far belongs to that one.
        """
        self._handed_over += self.drain()
        self.call, self._cwd, self._pid = call, cwd, pid
        self.seen_end = False

    def look(self) -> None:
        """Read what there is; find out whether nobody holds the other end."""
        # a spawner's tracer may still be on its way: no writer yet looks like the end
        if not self.over and (self.begun or not self._spawner):
            self._read(self._source, 0)

    def _read(self, descriptor: int, events: int) -> None:
        try:
            data = os.read(descriptor, 256 * 1024)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        if not self.begun:
            self.begun = True
            os.unlink(self.log)
            self._protect_tracer()
        self._partial += data
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest[:LINE_LIMIT])
        end = b"%d " % self._pid
        for line in lines:
            if self._spawner and line.startswith(self._spawner):
                continue
            if not self.seen_end and line.startswith(end) and b" +++ " in line[:16]:
                self.seen_end = True
            if len(self._kept) + len(line) < LOG_LIMIT:
                self._kept += line[:LINE_LIMIT] + b"\n"
            else:
                self._dropped += 1

    def _protect_tracer(self) -> None:
        """Where memory runs out, the kernel is to take the command, not the record of it."""
        try:
            with open(f"/proc/{self._pid}/status") as file:
                found = [line for line in file if line.startswith("TracerPid:")]
            self.tracer = int(found[0].split()[1])
            if self.tracer:
                with open(f"/proc/{self.tracer}/oom_score_adj", "w") as file:
                    file.write("0")
        except (OSError, IndexError, ValueError):
            return

    def traces(self, pid: int) -> bool:
        """Return whether a process is one that this tracer watches."""
        try:
            with open(f"/proc/{pid}/status") as file:
                return any(line == f"TracerPid:\t{self.tracer}\n" for line in file)
        except OSError:
            return False

    def drain(self) -> list[dict[str, Any]]:
        """Return what was logged since the last time, call by call."""
        found, self._handed_over = self._handed_over, []
        if not self._kept and not self._dropped:
            return found
        log = {
            "call": self.call,
            "pid": self._pid,
            "cwd": self._cwd,
            "log": self._kept.decode("utf-8", "backslashreplace"),
            "dropped": self._dropped,
        }
        self._kept, self._dropped = bytearray(), 0
        return [*found, log]

    def close(self) -> None:
        """Stop listening."""
        if self.over:
            return
        self.over = True
        self._loop.unwatch(self._source)
        os.close(self._source)
        if not self.begun:
            os.unlink(self.log)
