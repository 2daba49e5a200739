"""The program of the launcher: a process on the host that forks guests into new containers.

An interpreter takes longer to start than all the rest of a container. This process loads the guest's
modules once; each guest is a fork of it that has moved into namespaces of its own. It runs by itself,
outside the package: standard library only, Python 3.9 and up. It never reads what a guest writes.

Who becomes what, for one container: the launcher takes an unprivileged uid for a moment and clones the
guest into a user namespace of that uid's and a pid namespace, as process 1 of it. The guest waits for
its ids and its cgroup, then starts bubblewrap, which builds mounts and the other namespaces, and joins
those.
"""

from __future__ import annotations

import contextlib
import gc
import json
import marshal
import os
import select
import signal
import socket
import sys
import time

from sandbox.guest import hardening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

CONTROL = 3
"""The descriptor on which requests come in the launcher; its talk with the launcher in a guest."""

_c = hardening._c  # noqa: SLF001 - one way to the C library on both sides

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_CLONE = {"x86_64": 56, "aarch64": 220}
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_REQUEST_BYTES = 65536
_EMPTY_SECONDS = 2.0
_MOST = 2**20  # above every descriptor; the kernel closes a range at once


class LaunchError(Exception):
    """A container could not be made."""


def run(
    owner: int,
    remains: tuple[Sequence[str], str],
    preload: Sequence[str],
    **program: Any,
) -> NoReturn:
    """Serve requests until the owner ends or closes the control socket.

    Args:
        owner: Its pid.
        remains: Folders of cgroups, and what the names of the owner's begin with.
        preload: Modules that guests find loaded.
        program: See :class:`Zygote`.
    """
    try:
        os.closerange(CONTROL + 1, _MOST)
        os.chdir("/")
        handle = _owner_pidfd(owner)
        for name in preload:
            __import__(name)
        os.write(1, b"ready\n")
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.close(null)
        gc.disable()
        gc.freeze()
        Zygote(handle, **program).serve()
        folders, mark = remains
        for folder in folders:
            for name in os.listdir(folder):
                if name.startswith(mark):
                    _remove(f"{folder}/{name}")
    except BaseException as error:  # noqa: BLE001 - stderr leads to the owner until it is served
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _owner_pidfd(owner: int) -> int:
    """Return a pidfd of the owner, which shows its end whoever else holds the control socket."""
    handle = os.pidfd_open(owner)
    if os.getppid() != owner:  # it ended before the line above, and its pid may be reused
        raise LaunchError("the owner is gone")
    return handle


class Zygote:
    """Guests that were started and have not been collected."""

    def __init__(
        self,
        owner: int,
        *,
        bubblewrap: Sequence[str],
        files: Mapping[str, bytes],
        prefixes: tuple[str, str],
        path: str,
        bootstrap: str,
    ) -> None:
        """Take no requests yet.

        Args:
            owner: A pidfd.
            bubblewrap: Command that builds mounts and namespaces, up to the files.
            files: Path inside → content, made by bubblewrap.
            prefixes: Where the interpreter is outside, and inside.
            path: Search path of commands inside.
            bootstrap: Code that a guest ends in.
        """
        self._bubblewrap, self._files = bubblewrap, files
        self._prefixes, self._path, self._bootstrap = prefixes, path, bootstrap
        self._owner = owner
        self._control = socket.socket(fileno=CONTROL)
        self._guests: dict[int, int] = {}
        self._poll = select.poll()

    def serve(self) -> None:
        """Serve; return when the owner is gone, with all guests ended."""
        for descriptor in (self._owner, CONTROL):
            self._poll.register(descriptor, select.POLLIN)
        going = True
        while going:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._guests:
                    self._collect(descriptor)
                elif descriptor == self._owner or not self._take():
                    going = False
        for handle in list(self._guests):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            self._collect(handle)

    def _collect(self, handle: int) -> None:
        os.waitpid(self._guests.pop(handle), 0)
        self._poll.unregister(handle)
        os.close(handle)

    def _take(self) -> bool:
        """Take one request; return False at the end of the control socket."""
        raw, descriptors, _, _ = socket.recv_fds(self._control, _REQUEST_BYTES, 1)
        if not raw or not descriptors:
            return False
        wire = socket.socket(fileno=descriptors[0])
        try:
            self._start(wire, *marshal.loads(raw))  # noqa: S302 - the owner's own words
        except (OSError, LaunchError) as error:
            _complain(wire.fileno(), error)
        finally:
            wire.close()
        return True

    def _start(
        self,
        wire: socket.socket,
        uid: int,
        maps: Mapping[str, str],
        mappers: Sequence[Sequence[str]],
        joining: tuple[Sequence[str], Sequence[str]],
    ) -> None:
        """Make a guest and hand its pidfd to the owner; it goes on by itself from there.

        See ``sandbox.isolation.zygote_client.GuestRequest``.
        """
        procs, tasks = joining
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        doors: list[int] = []
        try:
            doors += (os.open(path, os.O_WRONLY) for path in tasks)
            with ours:
                with theirs:
                    guest = _clone(uid)
                    if not guest:
                        self._enter(wire.detach(), theirs.detach(), doors)
                handle = os.pidfd_open(guest)
                self._guests[handle] = guest
                self._poll.register(handle, select.POLLIN)
                try:
                    for command, *arguments in mappers:
                        _run([command, str(guest), *arguments])
                    for name, text in maps.items():
                        _write(f"/proc/{guest}/{name}", text)
                    for path in procs:  # else it joins its cgroup by itself
                        _write(path, str(guest))
                    socket.send_fds(wire, [b"."], [handle])
                    ours.send(b"mapped")
                    _receive(ours.fileno())
                except (OSError, LaunchError):
                    os.kill(guest, signal.SIGKILL)  # it is to say nothing of its own
                    raise
        finally:
            for door in doors:
                os.close(door)

    def _enter(self, wire: int, talk: int, doors: list[int]) -> NoReturn:
        """Be the guest. Only memory comes along, and no descriptor but these."""
        try:
            null = os.open("/dev/null", os.O_RDWR)
            for target, descriptor in enumerate((wire, wire, null, talk)):
                os.dup2(descriptor, target, inheritable=target < CONTROL)
            low = CONTROL + 1
            for door in sorted(doors):
                os.closerange(low, door)
                low = door + 1
            os.closerange(low, _MOST)
            _receive(CONTROL)  # until then it has no ids in its namespace
            _settle()
            for door in doors:
                os.write(door, b"0")
                os.close(door)
            os.write(CONTROL, b"settled")  # fails if the launcher ended before this line
            self._move_in()
            sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the guest lives
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - the same
            exec(self._bootstrap, {"__name__": "__main__"})  # noqa: S102 - the owner's own code
        except BaseException as error:  # noqa: BLE001 - whatever it is, the owner is to hear of it
            _complain(1, error)
        finally:
            os._exit(1)

    def _move_in(self) -> None:
        """Have bubblewrap build the rest of the container, and join it."""
        command, descriptors = list(self._bubblewrap), []
        for path, content in self._files.items():
            source, sink = os.pipe()
            os.write(sink, content)
            os.close(sink)
            descriptors.append(source)
            command += ["--perms", "0644", "--file", str(source), path]
        info, info_sink = os.pipe()
        namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
        descriptors += [info_sink, namespace]
        command += ["--info-fd", str(info_sink), "--pidns", str(namespace), "--remount-ro", "/"]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        _join(command, info, descriptors)
        os.closerange(CONTROL, _MOST)
        os.environ["PATH"] = self._path
        outside, inside = self._prefixes
        sys.path[:] = [inside + p[len(outside) :] if p.startswith(outside) else p for p in sys.path]
        sys.path_importer_cache.clear()


def _run(argv: list[str]) -> None:
    if os.waitpid(os.posix_spawn(argv[0], argv, {}), 0)[1]:
        raise LaunchError(f"{' '.join(argv)} failed")


def _clone(uid: int) -> int:
    """Return the pid of a fork in a user and a pid namespace of its own, both made by a uid; 0 in it.

    The C library has no fork into namespaces. The bare system call is sound where there is one thread,
    and spares a process in between, which would be a second copy of this one's memory.
    """
    number = _CLONE.get(os.uname().machine)
    if number is None:
        raise LaunchError(f"containers cannot be made on {os.uname().machine}")
    if uid:
        os.setresgid(-1, uid, -1)
        os.setresuid(-1, uid, -1)
    pid = _c("syscall", number, _NEWUSER | _NEWPID | signal.SIGCHLD, None, None, None, None)
    if pid and uid:
        os.setresuid(-1, 0, -1)
        os.setresgid(-1, 0, -1)
    if pid < 0:
        raise LaunchError("no namespace could be made for the container")
    return pid


def _settle() -> None:
    """Become root of the namespace without groups, session and keys; end with the launcher."""
    if os.getpid() != 1:
        raise LaunchError("the guest is not process 1 of its container")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])
    os.setsid()
    if number := _KEYCTL.get(os.uname().machine):
        _c("syscall", number, _KEYCTL_JOIN_SESSION_KEYRING, None)
    hardening.end_with_parent()


def _join(command: list[str], info: int, descriptors: list[int]) -> None:
    """Run bubblewrap around ``cat``, which shows by an echo that all is in place, and join that."""
    (stdin, ours), (echo, stdout), (errors, stderr) = os.pipe(), os.pipe(), os.pipe()
    streams = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate((stdin, stdout, stderr))]
    os.posix_spawn(command[0], [*command, "--", "cat"], {}, file_actions=streams)
    for descriptor in (stdin, stdout, stderr, *descriptors):
        os.close(descriptor)
    os.write(ours, b".")
    if os.read(echo, 1) != b".":
        text = os.read(errors, 2000).decode("utf-8", "replace")
        raise LaunchError(" ".join(text.split()) or "bubblewrap ended")
    place = os.pidfd_open(json.loads(os.read(info, 4096))["child-pid"])
    if _c("setns", place, _NEWNS | _NEWCGROUP | _NEWUTS | _NEWIPC | _NEWNET) < 0:
        raise LaunchError("setns failed")
    try:
        os.kill(-1, signal.SIGKILL)  # bubblewrap and cat: process 1 reaches its namespace only
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _receive(talk: int) -> None:
    if not os.read(talk, 64):
        raise LaunchError("the process at the other end is gone")


def _remove(folder: str) -> None:
    """Remove a cgroup; the kernel empties it some time after the last exit."""
    deadline = time.monotonic() + _EMPTY_SECONDS
    while os.path.exists(folder) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
            return
        time.sleep(0.002)


def _complain(descriptor: int, error: BaseException) -> None:
    text = " ".join(f"{error}".split()) or type(error).__name__
    with contextlib.suppress(OSError):
        os.write(descriptor, f"!{text}\n".encode())


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
