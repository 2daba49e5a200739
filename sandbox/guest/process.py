"""Running commands as the agent's user: bounded output, bounded time, nothing left behind."""

from __future__ import annotations

import _signal as signal  # the module above it loads enum, a fifth of the start-up time
import os
import select
import time

from sandbox.guest.confine import AGENT_UID, as_guest, limit_resources, own_proc_files
from sandbox.guest.toolkit import HOME, Completed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

OUTPUT_LIMIT = 64 * 1024
"""Bytes kept of each stream of a command: the first half and the last half."""
GRACE_SECONDS = 0.05
"""How long output is still awaited after a command's end; what it left running may hold the pipe."""

_ENVIRONMENT = {
    "HOME": HOME,
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "USER": "agent",
    "TMPDIR": "/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Kept:
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
        """Return what was kept as text; bytes that are not UTF-8 show as the replacement sign."""
        note = f"\n[… {self._cut} bytes left out …]\n".encode() if self._cut else b""
        return (bytes(self._head) + note + bytes(self._tail)).decode("utf-8", "replace")


class Child:
    """One started command and the guest's ends of its pipes."""

    def __init__(self, argv: Sequence[str], cwd: str, limits: dict[str, int]) -> None:
        opened: list[int] = []
        try:
            for _ in range(3):
                opened += os.pipe()
            self.pid = os.fork()
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        stdin, ours_in, ours_out, stdout, ours_err, stderr = opened
        if self.pid == 0:
            _become_agent(argv, cwd, limits, (stdin, stdout, stderr))
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        for descriptor in (ours_in, ours_out, ours_err):
            os.set_blocking(descriptor, False)
        self.stdin = ours_in
        self.outputs = {ours_out: Kept(OUTPUT_LIMIT), ours_err: Kept(OUTPUT_LIMIT)}
        self.stdout, self.stderr = self.outputs.values()
        self.code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code once it has ended, minus the number of a signal that ended it."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def end_all(self) -> None:
        """Kill and collect all processes but the guest: what left its session by setsid goes too.

        Sent by the guest itself: a process of the agent's uid could be killed by the agent before
        it gets to it, and where the agent holds every process that it may have, none can be made.
        """
        if os.getpid() != 1:
            raise RuntimeError("the guest is not process 1 of its container")
        try:
            os.kill(-1, signal.SIGKILL)
            while True:
                pid, status = os.waitpid(-1, 0)
                if pid == self.pid:
                    self.code = os.waitstatus_to_exitcode(status)
        except (ProcessLookupError, ChildProcessError):  # none is left
            return

    def close(self) -> None:
        """Close the guest's ends of its pipes."""
        for descriptor in (self.stdin, *self.outputs):
            if descriptor >= 0:
                os.close(descriptor)

    def feed(self, data: bytes) -> bytes:
        """Write to its standard input; return what is left, having closed it at the end."""
        try:
            data = data[os.write(self.stdin, data) :] if data else data
        except BlockingIOError:
            return data
        except BrokenPipeError:
            data = b""
        if not data:
            os.close(self.stdin)
            self.stdin = -1
        return data


def _become_agent(
    argv: Sequence[str], cwd: str, limits: dict[str, int], streams: tuple[int, int, int]
) -> None:
    """Turn the forked child into the command; never returns."""
    try:
        os.setsid()
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target, inheritable=True)
        os.closerange(3, 1024)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        limit_resources(limits)
        # where memory runs out, the kernel is to take this before the guest
        own_proc_files()
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        os.setgroups([])
        os.setresgid(AGENT_UID, AGENT_UID, AGENT_UID)
        os.setresuid(AGENT_UID, AGENT_UID, AGENT_UID)
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), _ENVIRONMENT)  # noqa: S606 - it is what the tool asked for
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {os.strerror(error.errno or 0)}\n".encode())
    finally:
        os._exit(127)


class Commands:
    """Starts commands for tools; ends the whole container when the engine goes away meanwhile."""

    def __init__(self, limits: dict[str, Any], control: int, gone: Callable[[], None]) -> None:
        self._limits = limits
        self._control = control
        self._gone = gone

    def __call__(self, argv: Sequence[str], stdin: str, timeout: float, cwd: str) -> Completed:
        """Run one command to its end, or to its time-out."""
        timeout = min(timeout, self._limits["command_seconds"])
        with as_guest():
            try:
                child = Child(argv, cwd, self._limits)
            except OSError as error:
                reason = os.strerror(error.errno or 0)
                return Completed(127, "", f"cannot start {argv[0]}: {reason}", timed_out=False)
            try:
                timed_out = self._watch(child, stdin.encode("utf-8", "surrogateescape"), timeout)
                if timed_out:
                    child.end_all()
            finally:
                child.close()
        assert child.code is not None
        return Completed(child.code, child.stdout.text(), child.stderr.text(), timed_out=timed_out)

    def _watch(self, child: Child, data: bytes, timeout: float) -> bool:
        """Feed and drain a command until it ends; return whether its time ran out first."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        for descriptor in child.outputs:
            poll.register(descriptor, select.POLLIN)
        if child.feed(data):
            poll.register(child.stdin, select.POLLOUT)
        deadline = time.monotonic() + timeout
        waiting, ended_at = set(child.outputs), None
        while waiting or child.poll() is None:
            now = time.monotonic()
            if now >= deadline:
                return True
            if ended_at is None and child.poll() is not None:
                ended_at = now
            if ended_at is not None and now - ended_at > GRACE_SECONDS:
                return False
            pause = 0.02 if ended_at is None and waiting else 0.001
            for descriptor, _ in poll.poll(min(pause, deadline - now) * 1000):
                if descriptor == self._control:
                    self._gone()  # the engine sends nothing during a call: it has hung up
                elif descriptor == child.stdin:
                    data = child.feed(data)
                    if not data:
                        poll.unregister(descriptor)
                elif not _drain(child.outputs[descriptor], descriptor):
                    poll.unregister(descriptor)
                    waiting.discard(descriptor)
        return False


def _drain(kept: Kept, descriptor: int) -> bool:
    try:
        data = os.read(descriptor, 65536)
    except BlockingIOError:
        return True
    kept.add(data)
    return bool(data)
