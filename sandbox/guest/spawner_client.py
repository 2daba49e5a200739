"""The guest's end of the spawner, which starts commands without a new tracer for each.

A tracer follows one call at a time, so that what it sees is credited to the right one: the spawner is
asked only while nothing of an earlier call is left. Else a command gets a tracer of its own.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys

from sandbox.guest.hardening import status
from sandbox.guest.loop import READABLE
from sandbox.guest.tracing import TraceLost, Tracing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.guest.loop import PollLoop

    Become = Callable[[Sequence[str], str, tuple[int, int, int], str, str], None]

_ANSWER_SECONDS = 20.0


class Spawner:
    """A running spawner and the tracer around it."""

    request_bytes = 64 * 1024
    """Of one request at most."""

    def __init__(self, become: Become, argv: Sequence[str], loop: PollLoop) -> None:
        """Start one; it says by itself when it is ready.

        Args:
            become: Turns a fork of the guest into a program under a tracer; never returns.
            argv: The program of the spawner.
            loop: Serves it.

        Raises:
            OSError: There is no room for one.
        """
        self.ready = False
        """Whether it takes requests."""
        self.closed = False
        self._loop = loop
        self._talk, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.tracing = Tracing("", "/", loop)
        try:
            self.pid = os.fork()
        except OSError:
            self.tracing.close()
            raise
        if self.pid == 0:
            null = os.open("/dev/null", os.O_RDWR)
            become(argv, "/", (theirs.fileno(), null, null), self.tracing.log, "")
        theirs.close()
        self._talk.settimeout(_ANSWER_SECONDS)
        self.tracing.follow(self.pid, spawner=True)
        loop.watch(self._talk.fileno(), READABLE, self._receive)

    def _receive(self, descriptor: int, events: int) -> None:
        if os.read(descriptor, 64):
            self.ready = True
        else:
            self.close()

    def free(self) -> bool:
        """Return whether nothing is left of the commands before, of whatever tracer.

        The kernel lists processes by ascending numbers, and a child's is above its parent's until they
        begin anew: one that flees from the look by forking is met again.
        """
        if not self.ready or self.closed or self.tracing.over:
            return False
        ours = {str(os.getpid()), str(self.pid), str(self.tracing.tracer)}
        pids = (name for name in os.listdir("/proc") if name.isdigit())
        return all(pid in ours or _of_guest(pid) for pid in pids)

    def spawn(self, request: bytes, streams: tuple[int, int, int], call: str, cwd: str) -> int:
        """Start a command and return its pid.

        Args:
            request: What :mod:`sandbox.guest.spawner_process` takes, at most ``request_bytes``.
            streams: Its standard input, output and error.
            call: Id of the call that it belongs to.
            cwd: The folder that it starts in.

        Raises:
            OSError: There is no room for a process, or the spawner is gone: nothing was started.
            Lost: It is not known whether the command was started.
        """
        self.tracing.look()
        handles = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in streams)
        try:
            self._talk.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handles)])
        except OSError:
            self.close()
            raise
        try:
            answer = self._talk.recv(64)
        except OSError as error:
            raise TraceLost(str(error)) from error
        if not answer:
            raise TraceLost("it ended")
        if (pid := int(answer)) < 0:
            raise OSError(errno.EAGAIN, "no room for a process")
        self.tracing.serve(call, cwd, pid)
        return pid

    def close(self) -> None:
        """Ask it no more; it ends by that, and its tracer with it."""
        if not self.closed:
            self.closed = True
            self._loop.unwatch(self._talk.fileno())
            self._talk.close()
            if not self.tracing.has_output:
                self.tracing.close()


def _of_guest(pid: str) -> bool:
    """Return whether a process has the guest's uid: a tracer that is about to end."""
    try:
        return status(pid)["Uid"].split() == ["0"] * 4
    except OSError:
        return False  # it has just ended: what it started may not have been seen
