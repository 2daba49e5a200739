"""Judging what the host's kernel says of a guest, seen from outside its container."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from sandbox.errors import IsolationError
from sandbox.guest import hardening
from sandbox.guest.hardening import AGENT_UID
from sandbox.isolation.audit.control import KERNEL, Control, unshared
from sandbox.isolation.cgroup import ROOT, Cgroup

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


def own_namespaces() -> Mapping[str, str]:
    """Return those of this process, which it never leaves."""
    return _own_namespaces(os.getpid())


@cache
def _own_namespaces(pid: int) -> Mapping[str, str]:
    return _namespaces(pid)


def _namespaces(pid: int) -> dict[str, str]:
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES}  # noqa: PTH115 - see _read


def _read(path: str) -> str:
    """Return a file of the kernel's; a dozen of them for each container, so without ``Path``."""
    return hardening.read(path).decode()


def pid_of(handle: int) -> int:
    """Return the process of a pidfd, as this process counts; see pidfd_open(2).

    Raises:
        IsolationError: It has ended.
    """
    for line in _read(f"/proc/self/fdinfo/{handle}").splitlines():
        name, _, value = line.partition(":")
        if name == "Pid" and int(value) > 0:
            return int(value)
    raise IsolationError("the guest is gone")


def judge(pid: int) -> list[Control]:
    """Return the controls that ``/proc`` of the host speaks of.

    Args:
        pid: The guest's, as the host counts.

    Raises:
        IsolationError: The guest is gone.
    """
    try:
        return [*_identity(pid), *_status(pid), *_own(pid)]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise IsolationError(f"the guest cannot be seen from outside: {error}") from error


def _identity(pid: int) -> Iterator[Control]:
    """Two ids inside, both of nobody that has files or processes here, and never root's."""
    for file in ("uid_map", "gid_map"):
        rows = [line.split() for line in _read(f"/proc/{pid}/{file}").splitlines()]
        inside = [f"{row[0]} for {row[2]}" for row in rows]
        holds = inside == ["0 for 1", f"{AGENT_UID} for 1"] and all(int(row[1]) for row in rows)
        actual = ", ".join(f"{row[0]} is {row[1]} for {row[2]}" for row in rows)
        declared = f"ids 0 and {AGENT_UID}, neither of them root outside"
        yield Control(file, declared, actual or "none", KERNEL, holds)


def _status(pid: int) -> list[Control]:
    status = hardening.status(pid)
    uid = status["Uid"].split()[0]
    return [
        Control.equal("guest_no_new_privs_outside", "1", status["NoNewPrivs"], KERNEL),
        Control.equal("guest_seccomp_outside", "2", status["Seccomp"], KERNEL),
        Control("guest_uid_outside", "not root", uid, KERNEL, uid != "0"),
    ]


def _own(pid: int) -> Iterator[Control]:
    """The links can be read by root and by who started the guest before it shut itself off."""
    with suppress(PermissionError):
        theirs, ours = _namespaces(pid), own_namespaces()
        shared = [name for name in NAMESPACES if theirs[name] == ours[name]]
        yield unshared("guest_namespaces", NAMESPACES, shared, KERNEL)


def bounds(pid: int, group: Cgroup | None, otherwise: str) -> list[Control]:
    """Return whether memory, processes and processors are bounded as a whole, and by what.

    Args:
        pid: Of a process that the cgroup is to hold.
        group: Whose limits are declared; None if none can be made or seen.
        otherwise: What the audit says in that case.

    Raises:
        IsolationError: The cgroup cannot be read.
    """
    if group is None:
        return [Control(name, otherwise, otherwise, KERNEL, holds=True) for name in _FILES]
    try:
        missing = [
            str(folder)
            for folder in group.folders
            if str(pid) not in _read(f"{folder}/cgroup.procs").split()
        ]
        actual = f"not in {', '.join(missing)}" if missing else "its own"
        member = Control("cgroup", "its own", actual, KERNEL, not missing)
        return [member, *(_bound(name, limit, group) for name, limit in group.limits.items())]
    except (OSError, ValueError, IndexError) as error:
        raise IsolationError(f"the container's cgroup cannot be read: {error}") from error


def _bound(name: str, limit: int, group: Cgroup) -> Control:
    actual = _limit(group.folders, name)
    # the kernel counts memory in pages
    same = actual == limit or (name == "memory" and actual == limit - limit % _PAGE)
    unit = _UNITS[name]
    found = "not bounded" if actual is None else f"cgroup, {limit if same else actual} {unit}"
    return Control(name, f"cgroup, {limit} {unit}", found, KERNEL, same)


def _limit(folders: tuple[Path, ...], name: str) -> int | None:
    for folder in folders:
        for file in _FILES[name]:
            try:
                word = _read(f"{folder}/{file}").split()[0]
            except FileNotFoundError:
                continue
            return None if word in ("max", "-1") else int(word)
    return None


_FILES = {
    "memory": ("memory.max", "memory.limit_in_bytes"),
    "processes": ("pids.max",),
    "cpu": ("cpu.max", "cpu.cfs_quota_us"),
}
_UNITS = {"memory": "bytes in all", "processes": "in all", "cpu": "µs of each 100 ms"}
_PAGE = os.sysconf("SC_PAGE_SIZE")


def engine_cgroup(pid: int, container: str, limits: Mapping[str, int]) -> Cgroup | None:
    """Return the cgroup that an engine made, or None where this process cannot see it.

    Args:
        pid: Of the container's first process, as the engine counts.
        container: Id of the container: another machine's engine counts other processes, and only
            a cgroup that bears this name is the container's.
        limits: That it is to have.
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    folders = tuple(
        folder
        for _, controllers, path in (line.split(":", 2) for line in lines)
        if container in path
        for controller in controllers.split(",")
        if (folder := ROOT / controller.removeprefix("name=") / path.lstrip("/")).is_dir()
    )
    return Cgroup(folders, limits) if folders else None
