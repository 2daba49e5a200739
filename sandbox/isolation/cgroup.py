"""A cgroup around one container, on version 1 or 2, where this process may make one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
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
"""Not there where the kernel was built or started without bounds on swap."""
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
        """Return how many processes the kernel killed here for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                if (folder / name).exists():
                    pairs = (line.split() for line in (folder / name).read_text().splitlines())
                    return int(dict(p for p in pairs if len(p) == 2).get("oom_kill", 0))
        return 0

    def remove_if_empty(self) -> bool:
        """Remove the folders where nothing is left inside; return whether that is so."""
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
                        _kill(int(pid))
                    time.sleep(0.002)  # the kernel empties a cgroup after the last exit


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def limits_of(bounds: Bounds) -> dict[str, int]:
    """Return the limits of a container's cgroup: the guest's own processes beside the agent's."""
    return {
        "memory": bounds.memory_bytes,
        "processes": bounds.processes + GUEST_PROCESSES,
        "cpu": int(bounds.cpus * _PERIOD),
    }


def make(name: str, limits: Mapping[str, int]) -> Cgroup | None:
    """Return a cgroup with limits in force, or None where none can be had.

    Args:
        name: Unique; usually the run's id.
        limits: See :class:`Cgroup`.
    """
    try:
        if (ROOT / "cgroup.controllers").exists():
            return _make_v2(name, limits)
        return _make_v1(name, limits)
    except OSError:
        return None


def parents() -> tuple[str, ...]:
    """Return the folders in which cgroups of containers may stand."""
    own = _own_v2()
    places = {ROOT, *(ROOT / controller for controller in _V1), own, own.parent}
    return tuple(sorted(str(place) for place in places if place.is_dir()))


def reap() -> int:
    """Remove the cgroups of processes that are gone; return of how many containers."""
    folders = [path for path in leftovers(set()) if Owner.of(_owner_label(path)).gone()]
    Cgroup(tuple(folders), {}).remove()
    return len({folder.name for folder in folders})


def _owner_label(path: Path) -> str:
    return path.name.removeprefix(PREFIX).rsplit("-", 1)[0]


def leftovers(alive: set[str]) -> list[Path]:
    """Return cgroup folders of containers whose names are not among those alive."""
    found = {path for parent in parents() for path in Path(parent).glob(f"{PREFIX}*")}
    return sorted(path for path in found if path.name.removeprefix(PREFIX) not in alive)


def _make_v1(name: str, limits: Mapping[str, int]) -> Cgroup | None:
    if not all(os.access(f"{ROOT}/{controller}", os.W_OK) for controller in _V1):
        return None
    memory, pids, cpu = (f"{ROOT}/{controller}/{PREFIX}{name}" for controller in _V1)
    return _made(
        {
            memory: {"memory.limit_in_bytes": limits["memory"]},
            pids: {"pids.max": limits["processes"]},
            cpu: {"cpu.cfs_period_us": _PERIOD, "cpu.cfs_quota_us": limits["cpu"]},
        },
        limits,
    )


def _made(folders: Mapping[str, Mapping[str, object]], limits: Mapping[str, int]) -> Cgroup:
    """Make folders and write their files; where one refuses, none is left."""
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
    return Cgroup(tuple(made), limits)


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


def _make_v2(name: str, limits: Mapping[str, int]) -> Cgroup | None:
    parent = _parent_v2()
    if parent is None:
        return None
    files = {
        "memory.max": limits["memory"],
        _SWAP: 0,
        "pids.max": limits["processes"],
        "cpu.max": f"{limits['cpu']} {_PERIOD}",
    }
    return _made({f"{parent}/{PREFIX}{name}": files}, limits)


@cache
def _parent_v2() -> Path | None:
    """Return where a cgroup can be made: beside this process's own, where a delegated parent hands controllers down."""
    own = _own_v2()
    for parent in (own, own.parent, ROOT):
        file = parent / "cgroup.subtree_control"
        if not os.access(file, os.W_OK):
            continue
        try:
            file.write_text("+memory +pids +cpu")
        except OSError:
            continue
        return parent
    return None
