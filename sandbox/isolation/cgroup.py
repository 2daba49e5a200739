"""A cgroup around one container, on version 1 or 2, where this process may make one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.guest.process import LEFT_RUNNING
from sandbox.isolation.process_identity import Owner
from sandbox.scenario.bounds import Bounds

ROOT = Path("/sys/fs/cgroup")
PREFIX = "agent-risk-sandbox-"
_V1 = ("memory", "pids", "cpu")
_PERIOD = 100_000  # microseconds, the kernel's default
_SWAP = "memory.swap.max"
"""Not there if the kernel was built or started without bounds on swap."""
Files = Mapping[str, Mapping[str, int | str]]
"""Folder → file → what is written to it."""
GUEST_PROCESSES = 8 + LEFT_RUNNING
"""The guest's own and its tracers, beside those of the agent."""


@dataclass(frozen=True)
class Joining:
    """Files of a cgroup through which a process gets into it."""

    procs: tuple[str, ...] = ()
    """Take the pid of any process, from whoever may move it."""
    tasks: tuple[str, ...] = ()
    """Take a thread that writes itself, as 0, of a process that has no other.

    That spares the kernel a lock on all forks and exits, for which it waits many milliseconds where
    containers start all the time, and lets nobody else make or remove a cgroup meanwhile.
    """


@dataclass(frozen=True)
class Cgroup:
    """The folders of one container's cgroup."""

    folders: tuple[Path, ...]
    limits: Mapping[str, int]
    """``memory`` in bytes, ``processes``, ``cpu`` in microseconds of each tenth of a second."""

    def add(self, pid: int) -> None:
        """Move a process in; what it starts from then on is in as well."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def joining(self) -> Joining:
        """Return how a process of one thread gets in; only version 1 has ``tasks``."""
        tasks = tuple(f"{folder}/tasks" for folder in self.folders)
        if all(map(os.path.exists, tasks)):
            return Joining(tasks=tasks)
        return Joining(procs=tuple(f"{folder}/cgroup.procs" for folder in self.folders))

    def out_of_memory(self) -> int:
        """Return how many processes the kernel killed here to free memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                if (folder / name).exists():
                    pairs = (line.split() for line in (folder / name).read_text().splitlines())
                    return int(dict(p for p in pairs if len(p) == 2).get("oom_kill", 0))
        return 0

    def remove_if_empty(self) -> bool:
        """Remove the folders if nothing is left inside; return whether that is so."""
        try:
            for folder in self.folders:
                folder.rmdir()
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """End what is left inside and remove the folders."""
        for folder in self.folders:
            deadline = time.monotonic() + 2
            while folder.exists() and time.monotonic() < deadline:
                try:
                    folder.rmdir()
                except OSError:
                    for pid in (folder / "cgroup.procs").read_text().split():
                        with suppress(ProcessLookupError):
                            os.kill(int(pid), signal.SIGKILL)
                    time.sleep(0.002)  # the kernel empties a cgroup after the last exit


def limits_of(bounds: Bounds) -> dict[str, int]:
    """Return the limits of a container's cgroup: the guest's own processes beside the agent's."""
    return {
        "memory": bounds.memory_bytes,
        "processes": bounds.processes + GUEST_PROCESSES,
        "cpu": int(bounds.cpus * _PERIOD),
    }


def make(name: str, limits: Mapping[str, int]) -> Cgroup | None:
    """Return a cgroup whose limits hold, or None if none can be made.

    Args:
        name: Unique; usually the run's id.
        limits: See :class:`Cgroup`.
    """
    try:
        version = _files_v2 if (ROOT / "cgroup.controllers").exists() else _files_v1
        return _create(version(f"{PREFIX}{name}", limits), limits)
    except OSError:
        return None


def parents() -> tuple[str, ...]:
    """Return the folders in which cgroups of containers may stand."""
    own = _own_v2()
    places = {ROOT, *(ROOT / controller for controller in _V1), own, own.parent}
    return tuple(sorted(str(place) for place in places if place.is_dir()))


def reap() -> int:
    """Remove the cgroups of processes that are gone; return of how many containers."""
    labels = {path: path.name.removeprefix(PREFIX).rsplit("-", 1)[0] for path in leftovers()}
    folders = tuple(path for path, label in labels.items() if Owner.of(label).gone())
    Cgroup(folders, {}).remove()
    return len({folder.name for folder in folders})


def leftovers() -> list[Path]:
    """Return the cgroup folders of all containers."""
    return sorted({path for parent in parents() for path in Path(parent).glob(f"{PREFIX}*")})


def _files_v1(name: str, limits: Mapping[str, int]) -> Files:
    memory, pids, cpu = (f"{ROOT}/{controller}" for controller in _V1)
    if not all(os.access(parent, os.W_OK) for parent in (memory, pids, cpu)):
        return {}
    return {
        f"{memory}/{name}": {"memory.limit_in_bytes": limits["memory"]},
        f"{pids}/{name}": {"pids.max": limits["processes"]},
        f"{cpu}/{name}": {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": limits["cpu"]},
    }


def _files_v2(name: str, limits: Mapping[str, int]) -> Files:
    parent = _parent_v2()
    files: dict[str, int | str] = {
        "memory.max": limits["memory"],
        _SWAP: 0,
        "pids.max": limits["processes"],
        "cpu.max": f"{limits['cpu']} {_PERIOD}",
    }
    return {f"{parent}/{name}": files} if parent else {}


def _create(folders: Files, limits: Mapping[str, int]) -> Cgroup | None:
    """Make folders and write their files; if one refuses, none is left."""
    made: list[Path] = []
    try:
        for folder, files in folders.items():
            os.mkdir(folder)  # noqa: PTH102 - several for each container, so without ``Path``
            made.append(Path(folder))
            for file, value in files.items():
                if file != _SWAP or os.path.exists(f"{folder}/{file}"):  # noqa: PTH110 - the same
                    _write(f"{folder}/{file}", value)
    except OSError:
        Cgroup(tuple(made), limits).remove_if_empty()
        raise
    return Cgroup(tuple(made), limits) if made else None


def _write(path: str, value: object) -> None:
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, str(value).encode())
    finally:
        os.close(file)


def _own_v2() -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return ROOT / line[3:].lstrip("/")
    return ROOT


@cache
def _parent_v2() -> Path | None:
    """Return where a cgroup can be made: beside this process's own, if its parent hands controllers down."""
    own = _own_v2()
    for parent in (own, own.parent, ROOT):
        file = parent / "cgroup.subtree_control"
        with suppress(OSError):
            if os.access(file, os.W_OK):
                file.write_text("+memory +pids +cpu")
                return parent
    return None
