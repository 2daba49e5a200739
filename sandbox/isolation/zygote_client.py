"""The owner's end of the launcher: starting it, and asking it for guests.

There is one launcher for each process, made at first use and again when it has died. Requests go over
a socket that no event loop holds, and each is answered on its own container's socket, so several loops
and threads may use the same launcher.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import marshal
import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

from sandbox.errors import IsolationError
from sandbox.isolation import cgroup, guest_payload
from sandbox.isolation.cgroup import Joining
from sandbox.isolation.process_identity import Owner
from sandbox.isolation.zygote import CONTROL

_BOOT_SECONDS = 30.0
_SEND_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """How containers are made; the same for all of one process."""

    python: str
    """Path of the guest's interpreter."""
    bubblewrap: tuple[str, ...]
    """Command that builds mounts and namespaces, up to the files."""
    files: Mapping[str, bytes]
    """Path inside → content."""
    prefixes: tuple[str, str]
    """Where the interpreter is outside, and inside."""
    path: str
    """Search path of commands inside."""


@dataclass(frozen=True)
class GuestRequest:
    """What differs from one container to the next."""

    uid: int
    """Unprivileged uid and gid to start as; 0 to stay as the owner is."""
    maps: Mapping[str, str] = field(default_factory=dict)
    """``uid_map`` and ``gid_map`` → their content, if the owner may write them."""
    mappers: tuple[tuple[str, ...], ...] = ()
    """Commands that write them otherwise; the pid goes in after the first word."""
    joining: Joining = field(default_factory=Joining)
    """How it gets into its cgroup."""


class ZygoteClient:
    """A running launcher."""

    def __init__(self, program: Program) -> None:
        """Start one and wait until it serves.

        Raises:
            IsolationError: It did not start.
        """
        self._ended = False
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        boot, theirs = socket.socketpair()
        with boot, theirs, control:
            self.pid = _spawn(program.python, theirs.fileno(), control.fileno())
            theirs.close()
            boot.settimeout(_BOOT_SECONDS)
            try:
                _boot(boot, program)
            except (OSError, IsolationError) as error:
                self.close()
                raise IsolationError(f"the launcher did not start: {error}") from error
        self._control.settimeout(_SEND_SECONDS)

    def ask(self, request: GuestRequest) -> socket.socket:
        """Ask for a guest; return the socket on which :func:`answer` and then the guest speak.

        Raises:
            OSError: The launcher is gone, or does not take requests any more.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                raw = marshal.dumps(astuple(request), guest_payload.MARSHAL)
                socket.send_fds(self._control, [raw], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def has_ended(self) -> bool:
        """Return whether it has ended, and collect it if so."""
        if not self._ended:
            try:
                self._ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                self._ended = True
        return self._ended

    def leave(self) -> None:
        """Hang up in a fork of the owner, whose launcher it stays."""
        self._control.close()

    def close(self) -> None:
        """End it, and every guest with it."""
        self._control.close()
        if not self.has_ended():  # else its pid may be that of another process
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            self._ended = True


def answer(wire: socket.socket) -> int:
    """Take the launcher's answer from a socket that has one; return the guest's pidfd.

    Raises:
        IsolationError: The guest could not be made; the text says why.
    """
    sign, descriptors, _, _ = socket.recv_fds(wire, 1, 1)
    if descriptors:
        return descriptors[0]
    if sign:
        wire.settimeout(1.0)
        raise IsolationError(wire.recv(2000).decode("utf-8", "replace").strip())
    raise IsolationError("the launcher ended")


def _spawn(python: str, boot: int, control: int) -> int:
    """Start the interpreter with nothing of this process but two sockets."""
    # clear of the numbers that they are moved to
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 16) for descriptor in (boot, control)]
    targets = ((high[0], 0), (high[0], 1), (high[0], 2), (high[1], CONTROL))
    moves = [(os.POSIX_SPAWN_DUP2, descriptor, target) for descriptor, target in targets]
    try:
        command = [python, *guest_payload.COMMAND[1:]]
        return os.posix_spawn(python, command, {}, file_actions=moves, setsid=True)
    finally:
        for descriptor in high:
            os.close(descriptor)


def _boot(boot: socket.socket, program: Program) -> None:
    with boot.makefile("rb") as lines:
        magic = lines.readline().decode("ascii", "replace").strip()
        plan = {
            "owner": os.getpid(),
            "remains": (cgroup.parents(), f"{cgroup.PREFIX}{Owner.current().label}-"),
            "bubblewrap": program.bubblewrap,
            "files": program.files,
            "prefixes": program.prefixes,
            "path": program.path,
        }
        boot.sendall(guest_payload.zygote(magic, plan))
        greeting = lines.read(6)
        if greeting != b"ready\n":
            text = (greeting + lines.read()).decode("utf-8", "replace").strip()
            raise IsolationError(text[-500:] or "it ended")


class _Shared:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.launcher: ZygoteClient | None = None


_shared = _Shared()


def _forget() -> None:
    """Leave the launcher to the parent after a fork: it serves the process that it watches."""
    if _shared.launcher:
        _shared.launcher.leave()
    _shared.launcher, _shared.lock = None, threading.Lock()


def close() -> None:
    """End this process's launcher, and every guest with it; done at the end of the program by itself."""
    if _shared.launcher:
        _shared.launcher.close()
        _shared.launcher = None


os.register_at_fork(after_in_child=_forget)
atexit.register(close)


def ask(program: Program, request: GuestRequest) -> socket.socket:
    """Ask this process's launcher, or a new one if there is none; see :meth:`Launcher.ask`.

    Raises:
        IsolationError: No launcher could be started.
    """
    with _shared.lock:
        if _shared.launcher:
            try:
                if not _shared.launcher.has_ended():
                    return _shared.launcher.ask(request)
            except OSError:
                pass  # it has hung up: a new one takes its place
            _shared.launcher.close()
            _shared.launcher = None
        _shared.launcher = ZygoteClient(program)
        try:
            return _shared.launcher.ask(request)
        except OSError as error:
            raise IsolationError(f"the launcher does not answer: {error}") from error
