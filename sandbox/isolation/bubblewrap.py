"""The embedded back end: Linux namespaces by bubblewrap, without an engine or an image.

The guest is root of a user namespace that maps two uids only, both unprivileged outside: its own
and the agent's. It bounds the tmpfs mounts, forbids further user namespaces, drops to a handful of
capabilities and installs its seccomp filter before it serves (``sandbox.guest.hardening``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.errors import IsolationError
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.guest.tracing import STRACE
from sandbox.isolation import cgroup, uid_map, zygote_client
from sandbox.isolation.audit import inside, kernel
from sandbox.isolation.audit.control import settle
from sandbox.isolation.audit.mounts import MountRule, virtual_file_system
from sandbox.isolation.audit.reports import GuestReport
from sandbox.isolation.base import Audit, ContainerSpec
from sandbox.isolation.cgroup import Cgroup, Joining
from sandbox.isolation.confinement import Confinement
from sandbox.isolation.guest_container import START_SECONDS, GuestContainer
from sandbox.isolation.process_identity import Owner
from sandbox.isolation.transport import SocketWire
from sandbox.isolation.zygote_client import Program

_PATH = "/usr/local/bin:/usr/bin:/bin"
_FILES = {
    "/etc/passwd": b"root:x:0:0:guest:/:/bin/false\nagent:x:1000:1000:agent:/work:/bin/sh\n",
    "/etc/group": b"root:x:0:\nagent:x:1000:\n",
    "/etc/hosts": b"127.0.0.1 localhost world\n",
    "/etc/nsswitch.conf": b"hosts: files dns\n",
    "/etc/resolv.conf": b"nameserver 127.0.0.1\n",
}
_PROCESSORS = tuple(sorted(os.sched_getaffinity(0)))
"""Of the program, whatever single ones its processes are bound to later."""
_PROBE_SECONDS = 30.0
_END_SECONDS = 10.0


_MOUNTS = (
    *map(MountRule, ("/", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")),
    *map(MountRule, ("/etc/alternatives", "/etc/ld.so.cache", "/usr/local")),
    virtual_file_system("/usr/local", "tmpfs"),  # hides the host's
    virtual_file_system("/proc", "proc"),
    virtual_file_system("/dev", "tmpfs"),
    virtual_file_system("/dev/pts", "devpts"),
    *(
        virtual_file_system(f"/dev/{name}", "devtmpfs", "tmpfs")
        for name in ("null", "zero", "full", "random", "urandom", "tty")
    ),
    virtual_file_system(CERTIFICATE_FOLDER, "tmpfs"),
    virtual_file_system("/work", "tmpfs"),
    virtual_file_system("/tmp", "tmpfs"),
)
"""What may be mounted inside; other than these, the host's folders are not there."""


@dataclass(frozen=True)
class _Guest:
    socket: socket.socket
    handle: int
    """Its pidfd."""


class Bubblewrap:
    """Makes containers with bubblewrap."""

    name = "bubblewrap"

    def unavailable(self) -> str | None:
        """Return what is missing, or None."""
        return _unavailable()

    async def open(self, spec: ContainerSpec) -> BubblewrapContainer:
        """Start a container and load its world."""
        if reason := self.unavailable():
            raise IsolationError(reason)
        name = f"{Owner.current().label}-{spec.run_id}"
        group = cgroup.make(name, cgroup.limits_of(spec.bounds))
        wire = None
        starting = asyncio.create_task(_start(group))
        try:
            guest = await asyncio.shield(starting)
            wire = await SocketWire.over(guest.socket)
            container = BubblewrapContainer(wire, group, guest)
            report = await container.start(spec, _confinement(spec, group), preloaded=True)
            container.audit = _audit(report, spec, guest.handle, group)
        except BaseException:
            if wire:
                wire.close()
            # it goes on if this task is cancelled: what it starts is to be ended
            await asyncio.shield(_undo(starting, group))
            raise
        return container

    def reap(self) -> int:
        """Remove the cgroups of processes that are gone; the containers died with those."""
        return cgroup.reap()


class BubblewrapContainer(GuestContainer):
    """One open container."""

    def __init__(self, wire: SocketWire, group: Cgroup | None, guest: _Guest) -> None:
        super().__init__(wire, group)
        self._guest = guest

    async def _remove(self) -> None:
        await _end(self._guest, self._group)


@cache
def _unavailable() -> str | None:
    if sys.platform != "linux":
        return "bubblewrap runs on Linux only"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed: apt-get install bubblewrap uidmap strace"
    if not os.access(STRACE, os.X_OK):
        return "strace is not installed, so effects cannot be recorded: apt-get install strace"
    if _interpreter() is None:
        return "no Python for the guest: apt-get install python3"
    if reason := uid_map.problem():
        return reason
    try:
        _probe()
        _version()  # asked here, so that no container waits for it
    except (IsolationError, OSError) as error:
        return f"bubblewrap cannot make a container here: {error}"
    return None


def _probe() -> None:
    """Make a container, hear its guest, and end it."""
    with zygote_client.ask(_program(), uid_map.request(Joining())) as wire:
        wire.settimeout(_PROBE_SECONDS)
        guest = zygote_client.answer(wire)
        try:
            greeting = wire.recv(2000)
            if greeting.startswith(b"!") or not greeting:
                raise IsolationError(greeting[1:].decode("utf-8", "replace").strip() or "no answer")
        finally:
            signal.pidfd_send_signal(guest, signal.SIGKILL)
            select.select([guest], [], [], _END_SECONDS)
            os.close(guest)


@cache
def _interpreter() -> tuple[str, str] | None:
    usual, python = "/usr/bin/python3", Path(sys.base_prefix, "bin", "python3")
    if os.access(usual, os.X_OK):
        return "/usr", usual
    return (sys.base_prefix, str(python)) if python.exists() else None


@cache
def _program() -> Program:
    folder, python = _interpreter() or ("", "")
    # No --die-with-parent: it ends with the guest's pid namespace. With --pidns it would be killed at
    # the end of its own intermediate process, where that is slow to end.
    bubblewrap = (
        shutil.which("bwrap") or "bwrap",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup",
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--setenv",
        "PATH",
        _PATH,
        "--hostname",
        "world",
        "--ro-bind",
        "/usr",
        "/usr",
        *(() if folder.startswith("/usr/local") else ("--tmpfs", "/usr/local")),
        *(() if folder == "/usr" else ("--ro-bind", folder, "/usr/local")),
        *_links(),
        "--perms",
        "0755",
        "--dir",
        "/etc",
        "--ro-bind-try",
        "/etc/alternatives",
        "/etc/alternatives",
        "--ro-bind-try",
        "/etc/ld.so.cache",
        "/etc/ld.so.cache",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/work",
        "--perms",
        "0755",
        "--size",
        "65536",
        "--tmpfs",
        CERTIFICATE_FOLDER,
    )
    moved = (folder, folder if folder == "/usr" else "/usr/local")
    return Program(python, bubblewrap, _FILES, moved, _PATH)


def _links() -> tuple[str, ...]:
    links: list[str] = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            links += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            links += ["--ro-bind", str(path), str(path)]
    return tuple(links)


async def _start(group: Cgroup | None) -> _Guest:
    """Ask for a guest and wait for its pidfd; the guest waits for its code from then on."""
    joining = group.joining() if group else Joining()
    wire = zygote_client.ask(_program(), uid_map.request(joining))
    try:
        wire.setblocking(False)
        await _readable(wire.fileno(), START_SECONDS, "the launcher did not answer")
        return _Guest(wire, zygote_client.answer(wire))
    except BaseException:
        wire.close()
        raise


async def _readable(descriptor: int, seconds: float, problem: str) -> None:
    """Wait until something can be read, or, of a pidfd, until its process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError as error:
        raise IsolationError(f"{problem} within {seconds:.0f} s") from error
    finally:
        loop.remove_reader(descriptor)


def _confinement(spec: ContainerSpec, group: Cgroup | None) -> Confinement:
    return Confinement(
        embedded=True,
        processes=spec.bounds.processes,
        memory_bytes=0 if group else spec.bounds.memory_bytes,
        processors=_PROCESSORS,
    )


async def _undo(starting: asyncio.Task[_Guest], group: Cgroup | None) -> None:
    await asyncio.wait({starting})
    if not starting.cancelled() and starting.exception() is None:
        await _end(starting.result(), group)
    elif group:
        await _remove(group)


async def _end(guest: _Guest, group: Cgroup | None) -> None:
    """Kill process 1 of the container, which ends all the others, and wait for that."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(guest.handle, signal.SIGKILL)
    try:
        await _readable(guest.handle, _END_SECONDS, "the container did not end")
    finally:
        os.close(guest.handle)
        guest.socket.close()
        if group:
            await _remove(group)


async def _remove(group: Cgroup) -> None:
    if not group.remove_if_empty():
        await asyncio.to_thread(group.remove)


@cache
def _version() -> str:
    done = subprocess.run(
        [_program().bubblewrap[0], "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip().removeprefix("bubblewrap ")


def _audit(report: GuestReport, spec: ContainerSpec, guest: int, group: Cgroup | None) -> Audit:
    """Compare the container with the profile; half a millisecond, too little for another thread."""
    pid = kernel.pid_of(guest)
    profile = inside.Inside(
        spec.bounds,
        _confinement(spec, group),
        mounts=_MOUNTS,
        guest_environment=frozenset({"LC_CTYPE", "PATH", "PWD"}),
        namespaces=kernel.NAMESPACES,
        filters=1,  # the guest's
        traced=spec.traced,
        keys=frozenset({"0 0 keyring _ses: empty"}),  # its own: the guest joined it at its start
    )
    controls = [
        *inside.judge(profile, report),
        *kernel.judge(pid),
        *kernel.bounds(pid, group, "of each process only: no cgroup can be made here"),
    ]
    image = f"host:{os.path.realpath(_program().python)}"
    return Audit("bubblewrap", _version(), image, settle(controls))
