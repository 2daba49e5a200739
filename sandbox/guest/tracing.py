"""Recording what a command does: strace around it, its log on a named pipe of the guest's own.

The tracer runs as the guest's uid: the agent can neither signal it nor open its log. It is
no parent of the command but a process beside it, and it follows what the command leaves
running, so that this is credited to the right call. Should it die, every traced system call of what
it traced fails (``--seccomp-bpf``), and the call is reported as a fault. A tracer around the spawner
(``sandbox.guest.spawner_client``) serves several calls, one after the other.

The log is handed out as it is; the engine reads it (``sandbox.isolation.strace``).
"""

from __future__ import annotations

import os
from itertools import count

from sandbox.guest.hardening import status
from sandbox.guest.loop import READABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sandbox.guest.loop import PollLoop
    from sandbox.guest.messages import CommandLog

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


class TraceLost(Exception):
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

    def __init__(self, call: str, cwd: str, loop: PollLoop) -> None:
        self.call = call
        self._cwd = cwd
        self.log = f"{_FOLDER}/.log-{next(_numbers)}"
        """Path of the pipe; gone once the tracer has opened it."""
        os.mkfifo(self.log, 0o600)
        self._source = os.open(self.log, os.O_RDONLY | os.O_NONBLOCK)
        self._loop = loop
        self._log = bytearray()
        self._partial = b""
        self._dropped = 0
        self._previous: list[CommandLog] = []
        """Of calls before this one, not yet returned."""
        self._pid = 0
        self._spawner = b""
        self.tracer = 0
        """The tracer's own pid, once it has logged anything."""
        self.saw_end = False
        """Whether the log says how the command itself ended."""
        self.has_output = False
        """Whether the tracer has logged anything: a command begins after it only."""
        self.over = False
        """Whether the tracer has closed the log."""

    def follow(self, pid: int, *, spawner: bool = False) -> None:
        """Follow the command's process, or the spawner's, whose own acts are no effects."""
        self._pid = pid
        if spawner:
            self._spawner = b"%d " % pid
        self._loop.watch(self._source, READABLE, self._read)

    def serve(self, call: str, cwd: str, pid: int) -> None:
        """Go on with a further call's command, if nothing is left of the one before.

        What has been logged so far belongs to that one.
        """
        self._previous += self.drain()
        self.call, self._cwd, self._pid = call, cwd, pid
        self.saw_end = False

    def look(self) -> None:
        """Read what there is; find out whether nobody holds the other end."""
        # a spawner's tracer may still be on its way: no writer yet looks like the end
        if not self.over and (self.has_output or not self._spawner):
            self._read(self._source, 0)

    def _read(self, descriptor: int, events: int) -> None:
        try:
            data = os.read(descriptor, 256 * 1024)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        if not self.has_output:
            self.has_output = True
            os.unlink(self.log)
            self._protect_tracer()
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[:LINE_LIMIT]
        end = b"%d " % self._pid
        for line in lines:
            if self._spawner and line.startswith(self._spawner):
                continue
            self.saw_end = self.saw_end or (line.startswith(end) and b" +++ " in line[:16])
            if len(self._log) + len(line) < LOG_LIMIT:
                self._log += line[:LINE_LIMIT] + b"\n"
            else:
                self._dropped += 1

    def _protect_tracer(self) -> None:
        """If memory runs out, the kernel is to take the command, not the record of it."""
        self.tracer = max(0, _tracer_of(self._pid))
        if self.tracer > 0:
            try:
                with open(f"/proc/{self.tracer}/oom_score_adj", "w") as file:
                    file.write("0")
            except OSError:
                return

    def traces(self, pid: int) -> bool:
        """Return whether a process is one that this tracer watches."""
        return _tracer_of(pid) == self.tracer

    def drain(self) -> list[CommandLog]:
        """Return what was logged since the last time, call by call."""
        logs, self._previous = self._previous, []
        if self._log or self._dropped:
            log: CommandLog = {
                "call": self.call,
                "pid": self._pid,
                "cwd": self._cwd,
                "log": self._log.decode("utf-8", "backslashreplace"),
                "dropped": self._dropped,
            }
            logs.append(log)
            self._log, self._dropped = bytearray(), 0
        return logs

    def close(self) -> None:
        """Stop listening."""
        if self.over:
            return
        self.over = True
        self._loop.unwatch(self._source)
        os.close(self._source)
        if not self.has_output:
            os.unlink(self.log)


def _tracer_of(pid: int) -> int:
    """Return the pid of a process's tracer, 0 if it has none; -1 if the process has ended."""
    try:
        return int(status(pid)["TracerPid"])
    except OSError:
        return -1
