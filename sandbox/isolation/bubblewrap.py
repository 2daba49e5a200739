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
from typing import Any

from sandbox.errors import IsolationError
from sandbox.guest.relay import CERTIFICATE_FOLDER
from sandbox.guest.tracing import STRACE
from sandbox.isolation import cgroup, uid_map, zygote_client
from sandbox.isolation.audit import inside, kernel
from sandbox.isolation.audit.control import settle
from sandbox.isolation.audit.mounts import MountRule, kernel_made
from sandbox.isolation.base import Audit, ContainerSpec
from sandbox.isolation.cgroup import Cgroup, Joining
from sandbox.isolation.guest_client import START_SECONDS, Channel
from sandbox.isolation.guest_container import AttachedContainer
from sandbox.isolation.process_identity import Owner
from sandbox.isolation.transport import SocketWire
from sandbox.isolation.zygote_client import Program
from sandbox.scenario.bounds import Bounds

_PATH = "/usr/local/bin:/usr/bin:/bin"
_FILES = {
    "/etc/passwd": b"root:x:0:0:guest:/:/bin/false\nagent:x:1000:1000:agent:/work:/bin/sh\n",
    "/etc/group": b"root:x:0:\nagent:x:1000:\n",
    "/etc/hosts": b"127.0.0.1 localhost world\n",
    "/etc/nsswitch.conf": b"hosts: files dns\n",
    "/etc/resolv.conf": b"nameserver 127.0.0.1\n",
}
_PROCESSORS = sorted(os.sched_getaffinity(0))
"""Of the program, whatever single ones its processes are bound to later."""
_PROBE_SECONDS = 30.0
_END_SECONDS = 10.0


_MOUNTS = (
    *(
        MountRule(path)
        for path in ("/", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
    ),
    *(MountRule(path) for path in ("/etc/alternatives", "/etc/ld.so.cache")),
    MountRule("/usr/local"),
    kernel_made("/usr/local", "tmpfs"),  # hides the host's
    kernel_made("/proc", "proc"),
    kernel_made("/dev", "tmpfs"),
    kernel_made("/dev/pts", "devpts"),
    *(
        kernel_made(f"/dev/{name}", "devtmpfs", "tmpfs")
        for name in ("null", "zero", "full", "random", "urandom", "tty")
    ),
    kernel_made(CERTIFICATE_FOLDER, "tmpfs"),
    kernel_made("/work", "tmpfs"),
    kernel_made("/tmp", "tmpfs"),
)
"""What may be mounted inside; other than these, the host's folders are not there."""


@dataclass(frozen=True)
class _Started:
    socket: socket.socket
    guest: int
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
            started = await asyncio.shield(starting)
            wire = await SocketWire.over(started.socket)
            channel = Channel(wire)
            found = await channel.start(spec, _plan(spec.bounds, group), preloaded=True)
            audit = _audit(found, spec, started.guest, group)
        except BaseException:
            if wire:
                wire.close()
            # goes on where the waiting is cut off: what it starts is to be ended
            await asyncio.shield(_undo(starting, group))
            raise
        return BubblewrapContainer(channel, wire, started, group, audit)

    def reap(self) -> int:
        """Remove the cgroups of processes that are gone; the containers died with those."""
        return cgroup.reap()


class BubblewrapContainer(AttachedContainer):
    """One open container; see :class:`sandbox.isolation.base.Container`."""

    def __init__(
        self,
        channel: Channel,
        wire: SocketWire,
        started: _Started,
        group: Cgroup | None,
        audit: Audit,
    ) -> None:
        super().__init__(channel, wire, audit)
        self._started = started
        self._group = group

    async def _remove(self) -> None:
        await _end(self._started, self._group)

    async def _closed_for_memory(self) -> bool:
        killed = bool(self._group and self._group.out_of_memory())
        await self.close()
        return killed


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
    wire = zygote_client.ask(_program(), uid_map.request(Joining()))
    with wire:
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
    """Return the folder to show inside and the path of the guest's Python."""
    for path in ("/usr/bin/python3",):
        if os.access(path, os.X_OK):
            return "/usr", path
    prefix = Path(sys.base_prefix)
    python = prefix / "bin" / "python3"
    return (str(prefix), str(python)) if python.exists() else None


@cache
def _program() -> Program:
    found = _interpreter()
    assert found is not None
    folder, python = found
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
    """Return the arguments for /bin, /lib and so on, as the host has them."""
    found: list[str] = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            found += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            found += ["--ro-bind", str(path), str(path)]
    return tuple(found)


async def _start(group: Cgroup | None) -> _Started:
    """Ask for a guest and wait for its pidfd; the guest waits for its code from then on."""
    joining = group.joining() if group else Joining()
    wire = zygote_client.ask(_program(), uid_map.request(joining))
    try:
        wire.setblocking(False)
        await _readable(wire.fileno(), START_SECONDS, "the launcher did not answer")
        return _Started(wire, zygote_client.answer(wire))
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


def _plan(bounds: Bounds, group: Cgroup | None) -> dict[str, Any]:
    size = {"size": bounds.tmpfs_bytes, "inodes": bounds.tmpfs_inodes}
    memory = 0 if group else bounds.memory_bytes
    return {
        "tmpfs": {"/work": size, "/tmp": size},
        "seal_namespaces": True,
        "end_with_parent": True,
        "processes": bounds.processes,
        "memory_bytes": memory,
        "processors": _PROCESSORS,
    }


async def _undo(starting: asyncio.Task[_Started], group: Cgroup | None) -> None:
    await asyncio.wait({starting})
    if not starting.cancelled() and starting.exception() is None:
        await _end(starting.result(), group)
    elif group:
        await _remove(group)


async def _end(started: _Started, group: Cgroup | None) -> None:
    """Kill process 1 of the container, which ends all the others, and wait for that."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(started.guest, signal.SIGKILL)
    try:
        await _readable(started.guest, _END_SECONDS, "the container did not end")
    finally:
        os.close(started.guest)
        started.socket.close()
        if group:
            await _remove(group)


async def _remove(group: Cgroup) -> None:
    if not group.gone():
        await asyncio.to_thread(group.remove)


@cache
def _version() -> str:
    done = subprocess.run(
        [_program().bubblewrap[0], "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip().removeprefix("bubblewrap ")


@cache
def _image() -> str:
    _, python = _interpreter() or ("", "")
    return f"host:{os.path.realpath(python)}"


def _audit(found: dict[str, Any], spec: ContainerSpec, guest: int, group: Cgroup | None) -> Audit:
    """Compare the container with the profile; half a millisecond, too little for another thread."""
    pid = kernel.pid_of(guest)
    controls = [
        *inside.judge(_expected(spec, group), found),
        *kernel.judge(pid),
        *kernel.bounds(pid, group, "of each process only: no cgroup can be made here"),
    ]
    return Audit("bubblewrap", _version(), _image(), settle(controls))


def _expected(spec: ContainerSpec, group: Cgroup | None) -> inside.Inside:
    bounds = spec.bounds
    return inside.Inside(
        bounds,
        mounts=_MOUNTS,
        limits={
            "processes": bounds.processes,
            "memory_bytes": 0 if group else bounds.memory_bytes,
        },
        guest_environment=frozenset({"LC_CTYPE", "PATH", "PWD"}),
        namespaces=kernel.NAMESPACES,
        filters=1,  # the guest's
        traced=spec.traced,
        seals_user_namespaces=True,
        keys=frozenset({"0 0 keyring _ses: empty"}),  # its own: the guest joined it at its start
    )
