"""A cgroup around one container, on version 1 or 2, where this process may make one."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.base import Bounds

ROOT = Path("/sys/fs/cgroup")
PREFIX = "agent-risk-sandbox-"
_V1 = ("memory", "pids", "cpu")
_PERIOD = 100_000  # microseconds, the kernel's default


@dataclass(frozen=True)
class Cgroup:
    """The folders of one container's cgroup."""

    folders: tuple[Path, ...]
    controls: dict[str, str]

    def out_of_memory(self) -> int:
        """Return how many processes the kernel killed here for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                if (folder / name).exists():
                    pairs = (line.split() for line in (folder / name).read_text().splitlines())
                    return int(dict(p for p in pairs if len(p) == 2).get("oom_kill", 0))
        return 0

    def gone(self) -> bool:
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


def make(name: str, bounds: Bounds) -> Cgroup | None:
    """Return a cgroup with the bounds in force, or None where none can be had.

    Args:
        name: Unique; usually the run's id.
        bounds: Memory, processes and processors are bounded here.
    """
    try:
        if (ROOT / "cgroup.controllers").exists():
            return _make_v2(name, bounds)
        return _make_v1(name, bounds)
    except OSError:
        return None


def parents() -> tuple[str, ...]:
    """Return the folders in which cgroups of containers may stand."""
    own = _own_v2()
    places = {ROOT, *(ROOT / controller for controller in _V1), own, own.parent}
    return tuple(sorted(str(place) for place in places if place.is_dir()))


def leftovers(alive: set[str]) -> list[Path]:
    """Return cgroup folders of containers whose names are not among those alive."""
    found = {path for parent in parents() for path in Path(parent).glob(f"{PREFIX}*")}
    return sorted(path for path in found if path.name.removeprefix(PREFIX) not in alive)


def _make_v1(name: str, bounds: Bounds) -> Cgroup | None:
    if not all(os.access(ROOT / controller, os.W_OK) for controller in _V1):
        return None
    memory, pids, cpu = (ROOT / controller / f"{PREFIX}{name}" for controller in _V1)
    for folder in (memory, pids, cpu):
        folder.mkdir()
    (memory / "memory.limit_in_bytes").write_text(str(bounds.memory_bytes))
    (pids / "pids.max").write_text(str(bounds.processes + 8))  # the guest's own beside the agent's
    (cpu / "cpu.cfs_period_us").write_text(str(_PERIOD))
    (cpu / "cpu.cfs_quota_us").write_text(str(int(bounds.cpus * _PERIOD)))
    return Cgroup((memory, pids, cpu), _described(1, bounds))


def _own_v2() -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return ROOT / line[3:].lstrip("/")
    return ROOT


def _make_v2(name: str, bounds: Bounds) -> Cgroup | None:
    """Make it beside this process's own cgroup: there a delegated parent hands controllers down."""
    own = _own_v2()
    for parent in (own, own.parent, ROOT):
        file = parent / "cgroup.subtree_control"
        if not os.access(file, os.W_OK):
            continue
        try:
            file.write_text("+memory +pids +cpu")
        except OSError:
            continue
        folder = parent / f"{PREFIX}{name}"
        folder.mkdir()
        (folder / "memory.max").write_text(str(bounds.memory_bytes))
        (folder / "memory.swap.max").write_text("0")
        (folder / "pids.max").write_text(str(bounds.processes + 8))
        (folder / "cpu.max").write_text(f"{int(bounds.cpus * _PERIOD)} {_PERIOD}")
        return Cgroup((folder,), _described(2, bounds))
    return None


def _described(version: int, bounds: Bounds) -> dict[str, str]:
    return {
        "memory": f"cgroup v{version}, {bounds.memory_bytes} bytes in all",
        "processes": f"cgroup v{version}, {bounds.processes}",
        "cpu": f"cgroup v{version}, {bounds.cpus:g} processors",
    }
