"""Running commands as the agent's user: bounded output, bounded time, nothing left behind."""

from __future__ import annotations

import _signal as signal  # the module above it loads enum, a fifth of the start-up time
import os
import time

from sandbox.guest import seccomp, tracing
from sandbox.guest.confine import AGENT_UID, as_guest, limit_resources, own_proc_files
from sandbox.guest.loop import READABLE, WRITABLE, Loop
from sandbox.guest.toolkit import HOME, Completed
from sandbox.guest.tracing import Tracing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sandbox.guest.relay import Doors

OUTPUT_LIMIT = 64 * 1024
"""Bytes kept of each stream of a command: the first half and the last half."""
GRACE_SECONDS = 0.05
"""How long output is still awaited after a command's end; what it left running may hold the pipe."""
TRACER_SECONDS = 5.0
"""How long the tracer may take to say how a command ended that has ended."""
LEFT_RUNNING = 32
"""Calls that may have left something running before the next command is refused."""
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


class Start:
    """How commands are started: as whom, where, within which limits, traced or not."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self.limits = limits
        self.traced = bool(limits["traced"])
        self.environment = dict(ENVIRONMENT)
        self._processors = sorted(os.sched_getaffinity(0)) if limits["cpus"] <= 1 else []

    def become(
        self, argv: Sequence[str], cwd: str, streams: tuple[int, int, int], log: str
    ) -> None:
        """Turn the forked child into the command; never returns.

        Args:
            argv: The program, as an absolute path, and its arguments.
            cwd: The folder to start in.
            streams: What becomes its standard input, output and error.
            log: Path of the tracer's log.
        """
        try:
            tracer = tracing.arguments(log, AGENT) if self.traced else []
            if self._processors:
                # one processor is what it gets; on one, tracer and traced also take turns faster
                chosen = self._processors[os.urandom(1)[0] % len(self._processors)]
                os.sched_setaffinity(0, {chosen})
            self.enter(cwd, streams, switch=not self.traced)
            command = [*tracer, *argv]
            os.execve(command[0], command, self.environment)  # noqa: S606 - it is what the tool asked for
        except (OSError, seccomp.FilterError) as error:
            os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def enter(self, cwd: str, streams: tuple[int, int, int], *, switch: bool) -> None:
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
        limit_resources(self.limits)
        # where memory runs out, the kernel is to take this before the guest
        own_proc_files()
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)
        if not self.traced:
            seccomp.refuse_tracing()
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

    def __init__(self, start: Start, argv: Sequence[str], cwd: str, log: str) -> None:
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
            start.become(argv, cwd, (stdin, stdout, stderr), log)
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        for descriptor in (ours_in, ours_out, ours_err):
            os.set_blocking(descriptor, False)
        self.stdin = ours_in
        self.outputs = {ours_out: Kept(OUTPUT_LIMIT), ours_err: Kept(OUTPUT_LIMIT)}
        self.stdout, self.stderr = self.outputs.values()
        self.waiting = set(self.outputs)
        """Descriptors whose end has not been seen."""
        self.code: int | None = None
        self._data = b""

    def watch(self, loop: Loop, data: bytes) -> None:
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

    def collected(self, pid: int, status: int) -> None:
        """Take note of a process that was waited for elsewhere."""
        if pid == self.pid:
            self.code = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Close the guest's ends of its pipes."""
        for descriptor in self.outputs:
            self._loop.unwatch(descriptor)
            os.close(descriptor)
        self._end_input()


class Commands:
    """Starts commands for tools, and keeps the record of what they do."""

    def __init__(self, limits: dict[str, Any], loop: Loop) -> None:
        self.start = Start(limits)
        self._loop = loop
        self._seconds = limits["command_seconds"]
        self._tracings: list[Tracing] = []
        self.call = ""
        """Id of the call that is being served."""
        self.lost = ""
        """Why the record of this call's commands is not complete, if it is not."""

    def doors(self, certificate: bytes) -> Doors | None:
        """Open the network of the container, where there is one, and have commands trust it.

        Args:
            certificate: Of the network's authority, PEM; empty where there is none.
        """
        if not certificate:
            return None
        from sandbox.guest.relay import Doors, trusted

        self.start.environment.update(trusted(certificate))
        return Doors()

    def __call__(self, argv: Sequence[str], stdin: str, timeout: float, cwd: str) -> Completed:
        """Run one command to its end, or to its time-out."""
        data = stdin.encode("utf-8", "surrogateescape")
        with as_guest():
            if len(self._tracings) >= LEFT_RUNNING:
                reason = f"{LEFT_RUNNING} calls have left something running"
                return Completed(127, "", f"cannot start {argv[0]}: {reason}", timed_out=False)
            tracing = Tracing(self.call, cwd, self._loop) if self.start.traced else None
            try:
                program = _find(argv[0], cwd)
                log = tracing.log if tracing else ""
                child = Child(self.start, [program, *argv[1:]], cwd, log)
            except OSError as error:
                if tracing:
                    tracing.close()
                reason = os.strerror(error.errno or 0)
                return Completed(127, "", f"cannot start {argv[0]}: {reason}", timed_out=False)
            if tracing:
                tracing.started(child.pid)
                self._tracings.append(tracing)
            try:
                child.watch(self._loop, data)
                timed_out = self._await(child, min(timeout, self._seconds))
                if timed_out:
                    self.end_all(child)
                elif tracing and not self._recorded(tracing):
                    if not tracing.begun:  # so the command did not begin either
                        reason = child.stderr.text()[-300:]
                        return Completed(
                            127, "", f"cannot start {argv[0]}: {reason}", timed_out=False
                        )
                    self.lost = (
                        f"the tracer ended before {argv[0]} did: {child.stderr.text()[-300:]}"
                    )
                    self.end_all(child)
            finally:
                child.close()
        assert child.code is not None
        return Completed(child.code, child.stdout.text(), child.stderr.text(), timed_out=timed_out)

    def _await(self, child: Child, timeout: float) -> bool:
        """Serve a command until it ends; return whether its time ran out first."""
        deadline = time.monotonic() + timeout
        ended_at = None
        while child.waiting or child.poll() is None:
            now = time.monotonic()
            if now >= deadline:
                return True
            if ended_at is None and child.poll() is not None:
                ended_at = now
            if ended_at is not None and now - ended_at > GRACE_SECONDS:
                return False
            pause = 0.02 if ended_at is None and child.waiting else 0.001
            self._loop.turn(min(pause, deadline - now))
        return False

    def _recorded(self, tracing: Tracing) -> bool:
        """Wait until the log has caught up with the command; return whether it did."""
        tracing.look()
        deadline = time.monotonic() + TRACER_SECONDS
        while not (tracing.seen_end or tracing.over):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._loop.turn(left)
        return tracing.seen_end

    def end_all(self, child: Child | None = None) -> None:
        """Kill and collect all processes but the guest: what left its session by setsid goes too.

        Sent by the guest itself: a process of the agent's uid could be killed by the agent before
        it gets to it, and where the agent holds every process that it may have, none can be made.
        """
        if os.getpid() != 1:
            raise RuntimeError("the guest is not process 1 of its container")
        left = True
        while left:
            # again for each that ends: gVisor's kernel may miss what is being made meanwhile
            options = 0
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                options = os.WNOHANG  # none but those that have ended
            left = _collect(child, options)
            while _collect(child, os.WNOHANG):
                continue

    def drain(self) -> list[dict[str, Any]]:
        """Return what the tracers logged since the last time, each with the call that it belongs to."""
        for each in self._tracings:
            each.look()
        found = [log for each in self._tracings if (log := each.drain())]
        self._tracings = [each for each in self._tracings if not each.over]
        return found

    def caller(self, pid: int) -> str:
        """Return the id of the call that started a process."""
        found = (each.call for each in self._tracings if each.traces(pid))
        return next(found, self.call)


def _collect(child: Child | None, options: int) -> bool:
    """Wait for one process; return whether there was one."""
    try:
        pid, status = os.waitpid(-1, options)
    except ChildProcessError:
        return False
    if child:
        child.collected(pid, status)
    return pid != 0


def _find(name: str, cwd: str) -> str:
    """Return the path of a program, as ``execvp`` would find it.

    Raises:
        OSError: There is none that may be executed.
    """
    if "/" in name:
        return os.path.join(cwd, name)
    for folder in ENVIRONMENT["PATH"].split(":"):
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(2, "not found")
