"""The embedded back end: Linux namespaces by bubblewrap, without an engine or an image.

The guest is root of a user namespace that maps two uids only, both unprivileged outside: its own
and the agent's. It bounds the tmpfs mounts, forbids further user namespaces, drops to a handful of
capabilities and installs its seccomp filter before it serves (``sandbox.guest.confine``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
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
from sandbox.guest.confine import AGENT_UID
from sandbox.isolation import cgroup, payload
from sandbox.isolation.attached import AttachedContainer
from sandbox.isolation.base import Audit, Bounds, ContainerSpec
from sandbox.isolation.cgroup import Cgroup
from sandbox.isolation.channel import Channel
from sandbox.isolation.owner import Owner
from sandbox.isolation.wire import SocketWire

# Above what systemd gives to containers and users (https://systemd.io/UIDS-GIDS), below 2**31.
_ROOT_UIDS = range(0x70000000, 0x7FFF0000, 2)
_SETUP_CAPABILITIES = (
    "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_SETPCAP", "CAP_CHOWN", "CAP_FOWNER", "CAP_SETUID",
    "CAP_SETGID", "CAP_KILL", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE",
)  # fmt: skip
_FILES = {
    "/etc/passwd": b"root:x:0:0:guest:/:/bin/false\nagent:x:1000:1000:agent:/work:/bin/sh\n",
    "/etc/group": b"root:x:0:\nagent:x:1000:\n",
    "/etc/hosts": b"127.0.0.1 localhost world\n",
}


@dataclass(frozen=True)
class _Started:
    process: subprocess.Popen[bytes]
    guest_pid: int
    socket: socket.socket


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
        group = cgroup.make(name, spec.bounds)
        wire = None
        starting = asyncio.create_task(asyncio.to_thread(_start, group))
        try:
            started = await asyncio.shield(starting)
            wire = await SocketWire.over(started.socket)
            channel = Channel(wire)
            confine = _plan(spec.bounds, group)
            found = await _started(channel, spec, confine, started)
            audit = _audit(found, spec.bounds, group)
        except BaseException:
            if wire:
                wire.close()
            await asyncio.wait({starting})  # a thread goes on where the waiting is cut off
            if starting.exception() is None:
                await asyncio.to_thread(_end, starting.result(), group)
            elif group:
                group.remove()
            raise
        return BubblewrapContainer(channel, wire, started, group, audit)

    def reap(self) -> int:
        """Remove the cgroups of processes that are gone; the containers died with those."""
        folders = [p for p in cgroup.leftovers(set()) if Owner.of(_owner_label(p)).gone()]
        Cgroup(tuple(folders), {}).remove()
        return len({folder.name for folder in folders})


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
        await asyncio.to_thread(_end, self._started, self._group)

    async def _closed_for_memory(self) -> bool:
        killed = bool(self._group and self._group.out_of_memory())
        await self.close()
        return killed


@cache
def _unavailable() -> str | None:
    if sys.platform != "linux":
        return "bubblewrap runs on Linux only"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed: apt-get install bubblewrap uidmap"
    if _interpreter() is None:
        return "no Python for the guest: apt-get install python3"
    if os.geteuid() != 0:
        if not (shutil.which("newuidmap") and shutil.which("newgidmap")):
            return "newuidmap is not installed: apt-get install uidmap"
        if _subordinate("/etc/subuid") is None or _subordinate("/etc/subgid") is None:
            return "no subordinate ids in /etc/subuid and /etc/subgid: usermod --add-subuids … --add-subgids …"
    try:
        _end(_start(None, probe=True), None)
    except (IsolationError, OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap cannot make a container here: {error}"
    return None


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
def _arguments() -> tuple[str, ...]:
    found = _interpreter()
    assert found is not None
    folder, _ = found
    arguments = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0",
        "--new-session", "--die-with-parent", "--as-pid-1", "--clearenv", "--hostname", "world",
        "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin",
        "--ro-bind", "/usr", "/usr",
        *(() if folder.startswith("/usr/local") else ("--tmpfs", "/usr/local")),
        *(() if folder == "/usr" else ("--ro-bind", folder, "/usr/local")),
        *_links(), "--perms", "0755", "--dir", "/etc",
        "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
        "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/work",
    ]  # fmt: skip
    for capability in _SETUP_CAPABILITIES:
        arguments += ["--cap-add", capability]
    return tuple(arguments)


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


def _start(group: Cgroup | None, *, probe: bool = False) -> _Started:
    """Start bubblewrap and map the two uids; the guest waits for its code from then on."""
    ours, theirs = socket.socketpair()
    info, info_write = os.pipe()
    block_read, block = os.pipe()
    files = {path: _sealed(data) for path, data in _FILES.items()}
    uid = random.SystemRandom().choice(_ROOT_UIDS) if os.geteuid() == 0 else os.geteuid()
    data = [
        item
        for path, fd in files.items()
        for item in ("--perms", "0644", "--ro-bind-data", str(fd), path)
    ]
    after = ["--remount-ro", "/", "--", *(("/bin/true",) if probe else payload.COMMAND)]
    process = None
    try:
        process = subprocess.Popen(
            [*_as(uid), *_arguments(), "--userns-block-fd", str(block_read), "--info-fd", str(info_write), *data, *after],
            stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, env=dict[str, str](), cwd="/",
            pass_fds=[info_write, block_read, *files.values()],
        )  # fmt: skip
        os.close(info_write)
        info_write = -1
        pid = _guest_pid(info, process)
        _map_ids(pid, uid)
        if group:
            group.add(pid)
        os.write(block, b"1")
        return _Started(process, pid, ours)
    except BaseException:
        if process:
            process.kill()
            process.wait()
        ours.close()
        raise
    finally:
        theirs.close()
        for descriptor in (info, info_write, block_read, block, *files.values()):
            if descriptor >= 0:
                os.close(descriptor)


def _as(uid: int) -> tuple[str, ...]:
    """Return the command that starts another under an unprivileged uid, where this one is root.

    Not ``Popen(user=…)``: that forks this whole process, which costs more than all the rest of a
    start and makes every page of memory be copied; without it, Python uses vfork.
    """
    if os.geteuid() != 0:
        return ()
    return (_setpriv(), f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")


@cache
def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        raise IsolationError("setpriv is not installed: apt-get install util-linux")
    return found


def _sealed(data: bytes) -> int:
    descriptor = os.memfd_create("sandbox")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _guest_pid(info: int, process: subprocess.Popen[bytes]) -> int:
    text = b""
    while chunk := os.read(info, 4096):
        text += chunk
        try:
            return int(json.loads(text)["child-pid"])
        except ValueError:
            continue
    assert process.stderr
    raise IsolationError(
        process.stderr.read(2000).decode("utf-8", "replace").strip() or "no answer"
    )


def _map_ids(pid: int, uid: int) -> None:
    if os.geteuid() == 0:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 {uid} 1\n{AGENT_UID} {uid + 1} 1\n")
        return
    for command, own, file in (
        ("newuidmap", uid, "/etc/subuid"),
        ("newgidmap", os.getegid(), "/etc/subgid"),
    ):
        granted = _subordinate(file)
        if granted is None:
            raise IsolationError(f"no subordinate ids in {file}")
        other = random.SystemRandom().choice(granted)
        arguments = [command, str(pid), "0", str(own), "1", str(AGENT_UID), str(other), "1"]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IsolationError(f"{command}: {done.stderr.strip()}")


@cache
def _subordinate(file: str) -> range | None:
    import pwd

    names = {str(os.geteuid()), pwd.getpwuid(os.geteuid()).pw_name}
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split(":")
        if len(parts) == 3 and parts[0] in names and int(parts[2]) > 0:
            return range(int(parts[1]), int(parts[1]) + int(parts[2]))
    return None


def _plan(bounds: Bounds, group: Cgroup | None) -> dict[str, Any]:
    size = {"size": bounds.tmpfs_bytes, "inodes": bounds.tmpfs_inodes}
    memory = 0 if group else bounds.memory_bytes
    return {
        "tmpfs": {"/work": size, "/tmp": size},
        "seal_namespaces": True,
        "end_with_parent": True,
        "processes": bounds.processes,
        "memory_bytes": memory,
    }


async def _started(
    channel: Channel, spec: ContainerSpec, confine: dict[str, Any], started: _Started
) -> dict[str, Any]:
    try:
        return await channel.start(spec, confine)
    except IsolationError as error:
        started.process.kill()
        _, errors = await asyncio.to_thread(started.process.communicate)
        said = errors.decode("utf-8", "replace").strip()
        raise IsolationError(f"{error}{': ' + said if said else ''}") from error


def _end(started: _Started, group: Cgroup | None) -> None:
    for pid in (started.guest_pid, started.process.pid):
        if started.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    started.process.wait()
    if started.process.stderr:
        started.process.stderr.close()
    started.socket.close()
    if group:
        group.remove()


def _owner_label(path: Path) -> str:
    return path.name.removeprefix(cgroup.PREFIX).rsplit("-", 1)[0]


@cache
def _version() -> str:
    done = subprocess.run(
        [_arguments()[0], "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip().removeprefix("bubblewrap ")


def _audit(found: dict[str, Any], bounds: Bounds, group: Cgroup | None) -> Audit:
    each = {
        "memory": f"rlimit, {bounds.memory_bytes} bytes in each process",
        "processes": f"rlimit, {bounds.processes} of the agent",
        "cpu": f"rlimit, {bounds.cpu_seconds} s in each process",
    }
    controls = {
        "network": "namespace without interfaces",
        "root": "read-only",
        "namespaces": "user, mount, pid, net, ipc, uts, cgroup; no further user namespaces",
        "writable": f"/work and /tmp, tmpfs of {bounds.tmpfs_bytes} bytes and {bounds.tmpfs_inodes} inodes each",
        "file_size": f"rlimit, {bounds.file_bytes} bytes",
        "guest_capabilities": found["capabilities"],
        "agent_capabilities": "none",
        "no_new_privs": found["no_new_privs"],
        "seccomp": found["seccomp"],
        **(group.controls if group else each),
    }
    _, python = _interpreter() or ("", "")
    return Audit("bubblewrap", _version(), f"host:{os.path.realpath(python)}", controls)
