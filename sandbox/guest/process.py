"""Running commands as the agent's user: bounded time, nothing left behind, all of it recorded."""

from __future__ import annotations

import _signal as signal  # the module above it loads enum, a fifth of the start-up time
import errno
import marshal
import os
import time

from sandbox.guest.command import ENVIRONMENT, Child, Start
from sandbox.guest.hardening import AGENT_UID, as_guest
from sandbox.guest.seccomp import ConfinementError
from sandbox.guest.toolkit import Completed
from sandbox.guest.tracing import STRACE, TraceLost, Tracing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.guest.loop import PollLoop
    from sandbox.guest.messages import CommandLog
    from sandbox.guest.relay import Listeners
    from sandbox.guest.spawner_client import Spawner

GRACE_SECONDS = 0.05
"""How long output is still awaited after a command's end; what it left running may hold the pipe."""
TRACER_SECONDS = 5.0
"""How long the tracer may take to say how a command ended that has ended."""
LEFT_RUNNING = 32
"""Calls that may have left something running before the next command is refused."""
FORKS_BEFORE_SPAWNER = 2
"""Commands with a tracer of their own before a spawner is started, which costs more than one of those."""


class Commands:
    """Starts commands for tools, and keeps the record of what they do."""

    def __init__(
        self,
        loop: PollLoop,
        *,
        limits: Mapping[str, int],
        traced: bool,
        processors: Sequence[int] | None,
        command_seconds: float,
        spawner_source: str,
        may_spawn: bool = True,
    ) -> None:
        """Keep ready to start commands.

        Args:
            loop: Serves them.
            limits: See :func:`sandbox.guest.hardening.limit_resources`.
            traced: Whether they are recorded.
            processors: One of which each is pinned to; those of the guest if empty, None not to pin them.
            command_seconds: Most that one may take.
            spawner_source: Source of the spawner's program; empty to do without.
            may_spawn: Whether a spawner would live for more than one call.
        """
        if traced and not os.access(STRACE, os.X_OK):
            raise ConfinementError(f"there is no {STRACE} in the container to record effects with")
        self.start = Start(limits, processors, traced=traced)
        self._spawner_source = spawner_source if traced and may_spawn else ""
        self._spawner: Spawner | None = None
        self._forks = 0
        self._loop = loop
        self._seconds = command_seconds
        self._tracings: list[Tracing] = []
        self.call = ""
        """Id of the call that is being served."""
        self.lost = ""
        """Why the record of this call's commands is not complete, if it is not."""

    def listeners(self, certificate: bytes) -> Listeners | None:
        """Open the network of the container, if there is one, and have commands trust it.

        Args:
            certificate: Of the network's authority, PEM; empty if there is none.
        """
        if not certificate:
            return None
        from sandbox.guest.relay import Listeners, install_certificate

        self.start.environment.update(install_certificate(certificate))
        return Listeners()

    def __call__(self, argv: Sequence[str], stdin: str, timeout: float, cwd: str) -> Completed:
        """Run one command to its end, or to its time-out."""
        data = stdin.encode("utf-8", "surrogateescape")
        with as_guest():
            try:
                child, tracing = self._begin(argv, cwd)
            except OSError as error:
                return _failure(argv, error.strerror or str(error))
            except TraceLost as error:
                self.lost = f"the spawner ended while it started {argv[0]}: {error}"
                self.end_all()
                return _failure(argv, "it may have been started and ended")
            try:
                child.watch(self._loop, data)
                timed_out = self._await(child, min(timeout, self._seconds))
                if timed_out:
                    self.end_all(child)
                elif tracing and not self._await_end(tracing):
                    reason = child.stderr.text()[-300:]
                    if not tracing.has_output:  # so the command did not begin either
                        return _failure(argv, reason)
                    self.lost = f"the tracer ended before {argv[0]} did: {reason}"
                    self.end_all(child)
            finally:
                child.close()
        assert child.code is not None
        return Completed(child.code, child.stdout.text(), child.stderr.text(), timed_out=timed_out)

    def _begin(self, argv: Sequence[str], cwd: str) -> tuple[Child, Tracing | None]:
        """Start a command: by the spawner if it is free, else by a fork under its own tracer.

        Raises:
            OSError: There is no such program, or no room for a process.
            Lost: It is not known whether it was started.
        """
        command = [_find(argv[0], cwd), *argv[1:]]
        spawner = self._spawner
        reap()
        if spawner and spawner.free():
            raw = marshal.dumps((command, cwd, self.start.environment))
            if len(raw) <= spawner.request_bytes:
                child = Child(lambda streams: spawner.spawn(raw, streams, self.call, cwd))
                return child, spawner.tracing
        self._forks += 1
        if not self.start.traced:
            return Child(lambda streams: self._fork(command, cwd, streams, "")), None
        if len(self._tracings) - bool(spawner) >= LEFT_RUNNING:
            raise OSError(errno.EAGAIN, f"{LEFT_RUNNING} calls have left something running")
        tracing = Tracing(self.call, cwd, self._loop)
        try:
            child = Child(lambda streams: self._fork(command, cwd, streams, tracing.log))
        except OSError:
            tracing.close()
            raise
        tracing.follow(child.pid)
        self._tracings.append(tracing)
        return child, tracing

    def _fork(
        self, command: Sequence[str], cwd: str, streams: tuple[int, int, int], log: str
    ) -> int:
        pid = os.fork()
        if pid == 0:
            self.start.become(command, cwd, streams, log)
        return pid

    def prepare(self) -> None:
        """Between calls: start a spawner once commands have shown that more may come."""
        if self._spawner and self._spawner.closed:
            if not self._spawner.ready:
                self._spawner_source = ""  # it cannot work here
            self._spawner = None
        if self._spawner or not self._spawner_source or self._forks < FORKS_BEFORE_SPAWNER:
            return
        from sandbox.guest.spawner_client import Spawner

        self._forks = 0
        options = ["-I", "-S", "-B", "-c"]
        try:
            program = [_find("python3", "/"), *options, self._spawner_source, str(AGENT_UID)]
            self._spawner = Spawner(self.start.become, program, self._loop)
        except OSError:
            return
        self._tracings.append(self._spawner.tracing)

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
            self._loop.turn(
                min(0.02 if ended_at is None and child.waiting else 0.001, deadline - now)
            )
        return False

    def _await_end(self, tracing: Tracing) -> bool:
        """Wait until the log has caught up with the command; return whether it did."""
        tracing.look()
        deadline = time.monotonic() + TRACER_SECONDS
        while not (tracing.saw_end or tracing.over) and (left := deadline - time.monotonic()) > 0:
            self._loop.turn(left)
        return tracing.saw_end

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
            reap(child)
        if self._spawner:
            self._spawner.close()
            self._spawner, self._forks = None, 0

    def drain(self) -> list[CommandLog]:
        """Return what the tracers logged since the last time, each with the call that it belongs to."""
        for each in self._tracings:
            each.look()
        logs = [log for each in self._tracings for log in each.drain()]
        self._tracings = [each for each in self._tracings if not each.over]
        return logs

    def caller(self, pid: int) -> str:
        """Return the id of the call that started a process."""
        return next((each.call for each in self._tracings if each.traces(pid)), self.call)


def reap(child: Child | None = None) -> None:
    """Collect processes that have ended: the guest is process 1 of its container."""
    while _collect(child, os.WNOHANG):
        continue


def _collect(child: Child | None, options: int) -> bool:
    try:
        pid, status = os.waitpid(-1, options)
    except ChildProcessError:
        return False
    if child:
        child.set_exit_status(pid, status)
    return pid != 0


def _failure(argv: Sequence[str], reason: str) -> Completed:
    return Completed(127, "", f"cannot start {argv[0]}: {reason}", timed_out=False)


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
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
