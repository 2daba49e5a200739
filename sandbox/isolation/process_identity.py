"""Which process owns a run or a container, in a form that survives its death and a reused pid."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process, known by machine, boot, pid and start time."""

    machine: str
    boot: str
    pid: int
    started: int
    """Clock ticks since boot."""

    @property
    def label(self) -> str:
        """A text for labels and file names."""
        return f"{self.machine}-{self.boot}-{self.pid}-{self.started}"

    @classmethod
    def of(cls, label: str) -> Owner:
        """Return the owner that a label names; one of no machine if it names none."""
        parts = label.split("-")
        try:
            return cls(parts[0], parts[1], int(parts[2]), int(parts[3]))
        except (IndexError, ValueError):
            return cls("", "", 0, 0)

    @classmethod
    def current(cls) -> Owner:
        """Return this process."""
        return _process(os.getpid())

    def gone(self) -> bool:
        """Return whether this was a process of this machine that does not run any more."""
        if self.machine != _machine():
            return False  # another machine's: it cannot be seen from here
        return self.boot != _boot() or _start_time(self.pid) != self.started


@cache
def _process(pid: int) -> Owner:
    return Owner(_machine(), _boot(), pid, _start_time(pid) or 0)


@cache
def _machine() -> str:
    try:
        name = Path("/etc/machine-id").read_text().strip()
    except OSError:
        name = ""
    return hashlib.sha256((name or socket.gethostname()).encode()).hexdigest()[:8]


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:8]


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()  # a process may call itself anything
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
