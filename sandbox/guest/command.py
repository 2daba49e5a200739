"""One command of the agent: how it is started, and the guest's ends of its pipes."""

from __future__ import annotations

import _signal as signal  # the module above it loads enum, a fifth of the start-up time
import os

from sandbox.guest import tracing
from sandbox.guest.hardening import AGENT_UID, limit_resources, own_proc_files
from sandbox.guest.loop import READABLE, WRITABLE, PollLoop
from sandbox.guest.toolkit import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Streams = tuple[int, int, int]
    """What becomes standard input, output and error."""

OUTPUT_LIMIT = 64 * 1024
"""Bytes kept of each stream of a command: the first half and the last half."""
AGENT = "agent"
"""The name of the agent's uid in the container's /etc/passwd."""

ENVIRONMENT = {
    "HOME": HOME,
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "USER": "agent",
    "TMPDIR": "/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class HeadAndTail:
    """The beginning and the end of a stream, within a limit of bytes."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes, forgetting from the middle what does not fit."""
        room = self._half - len(self._head)
        self._head += data[: max(0, room)]
        self._tail += data[max(0, room) :]
        if len(self._tail) > self._half:
            self._cut += len(self._tail) - self._half
            del self._tail[: -self._half]

    def text(self) -> str:
        """Return what was kept as text; bytes that are not UTF-8 show as the replacement character."""
        note = f"\n[… {self._cut} bytes left out …]\n".encode() if self._cut else b""
        return (bytes(self._head) + note + bytes(self._tail)).decode("utf-8", "replace")


class Start:
    """How commands are started: as whom, where, within which limits, traced or not."""

    def __init__(
        self, limits: Mapping[str, int], processors: Sequence[int] | None, *, traced: bool
    ) -> None:
        self.traced = traced
        self.environment = dict(ENVIRONMENT)
        self._limits = limits
        self._processors = [] if processors is None else processors or [*os.sched_getaffinity(0)]

    def become(
        self,
        argv: Sequence[str],
        cwd: str,
        streams: Streams,
        log: str,
        user: str = AGENT,
    ) -> None:
        """Turn the forked child into the command; never returns.

        Args:
            argv: The program, as an absolute path, and its arguments.
            cwd: The folder to start in.
            streams: What becomes its standard input, output and error.
            log: Path of the tracer's log.
            user: Whom the tracer starts it as; empty for the guest's own.
        """
        try:
            tracer = tracing.arguments(log, user) if self.traced else []
            if self._processors:
                # one processor is what it gets; on one, tracer and traced also take turns faster
                number = os.urandom(1)[0] % len(self._processors)
                os.sched_setaffinity(0, {self._processors[number]})
            self.enter(cwd, streams, switch=not self.traced)
            command = [*tracer, *argv]
            os.execve(command[0], command, self.environment)  # noqa: S606 - it is what the tool asked for
        except OSError as error:
            os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def enter(self, cwd: str, streams: Streams, *, switch: bool) -> None:
        """Give this fork all that holds for a command; the audit's probe comes this way too.

        Args:
            cwd: The folder to start in.
            streams: What becomes its standard input, output and error.
            switch: Take the agent's uid here; a tracer gives it to what it starts.
        """
        os.setsid()
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target, inheritable=True)
        os.closerange(3, 1024)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        limit_resources(self._limits)
        # if memory runs out, the kernel is to take this before the guest
        own_proc_files()
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
        os.setgroups([])
        os.setegid(AGENT_UID)
        os.seteuid(AGENT_UID)
        os.chdir(cwd)
        os.seteuid(0)
        if not switch:  # the tracer keeps the guest's uid
            os.setegid(0)
            return
        os.setresgid(AGENT_UID, AGENT_UID, AGENT_UID)
        os.setresuid(AGENT_UID, AGENT_UID, AGENT_UID)


class Child:
    """One started command and the guest's ends of its pipes."""

    def __init__(self, begin: Callable[[Streams], int]) -> None:
        """Start it.

        Args:
            begin: Makes its process, given its standard input, output and error; returns the pid.
        """
        opened: list[int] = []
        try:
            for _ in range(3):
                opened += os.pipe()
            stdin, ours_in, ours_out, stdout, ours_err, stderr = opened
            self.pid = begin((stdin, stdout, stderr))
        except BaseException:
            for descriptor in opened:
                os.close(descriptor)
            raise
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        for descriptor in (ours_in, ours_out, ours_err):
            os.set_blocking(descriptor, False)
        self.stdin = ours_in
        self.outputs = {ours_out: HeadAndTail(OUTPUT_LIMIT), ours_err: HeadAndTail(OUTPUT_LIMIT)}
        self.stdout, self.stderr = self.outputs.values()
        self.waiting = set(self.outputs)
        """Descriptors whose end has not been seen."""
        self.code: int | None = None
        self._data = b""

    def watch(self, loop: PollLoop, data: bytes) -> None:
        """Have its output collected and its standard input fed."""
        self._loop, self._data = loop, data
        for descriptor in self.outputs:
            loop.watch(descriptor, READABLE, self._take)
        self._give(self.stdin, 0)
        if self.stdin >= 0:
            loop.watch(self.stdin, WRITABLE, self._give)

    def _take(self, descriptor: int, events: int) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        self.outputs[descriptor].add(data)
        if not data:
            self._loop.unwatch(descriptor)
            self.waiting.discard(descriptor)

    def _give(self, descriptor: int, events: int) -> None:
        try:
            self._data = self._data[os.write(descriptor, self._data) :] if self._data else b""
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._data = b""
        if not self._data:
            self._end_input()

    def _end_input(self) -> None:
        if self.stdin >= 0:
            self._loop.unwatch(self.stdin)
            os.close(self.stdin)
            self.stdin = -1

    def poll(self) -> int | None:
        """Return the exit code once it has ended, minus the number of a signal that ended it."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def set_exit_status(self, pid: int, status: int) -> None:
        """Take note of a process that was waited for elsewhere."""
        if pid == self.pid:
            self.code = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Close the guest's ends of its pipes."""
        for descriptor in self.outputs:
            self._loop.unwatch(descriptor)
            os.close(descriptor)
        self._end_input()
