"""What a scheduler is to start, and the name that it is known by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import InputError
from sandbox.sweeps.schedule.recurrence import When

PREFIX = "agent-risk-sandbox-"


@dataclass(frozen=True)
class Job:
    """A sweep that is executed at certain times."""

    sweep: str
    """Name of the sweep; a schedule of the same name takes its place."""
    when: When
    program: tuple[str, ...]
    """The command line up to and with what stands before the command."""
    file: Path
    folder: Path
    """In which it is started."""
    options: tuple[str, ...] = ()
    """Of ``sandbox sweep``."""
    environment: Path | None = None
    """File with lines ``NAME=value``: keys of providers, SANDBOX_STORE, SANDBOX_NOTIFY."""

    def __post_init__(self) -> None:
        words = [*self.command(), str(self.folder), str(self.environment or "")]
        if any(not word.isprintable() for word in words):
            raise InputError("a path or an option with control characters cannot be scheduled")

    @property
    def name(self) -> str:
        """Of its unit, its block in a crontab, its object in a cluster."""
        return PREFIX + self.sweep

    def command(self) -> list[str]:
        """Return what executes a night."""
        night = f"--night={self.when}"
        return [*self.program, "sweep", "start", str(self.file), night, *self.options]

    def report(self) -> list[str]:
        """Return what reports a night that died silently."""
        return [*self.program, "schedule", "failed", self.sweep]


@dataclass(frozen=True)
class Installed:
    """A schedule that was found."""

    sweep: str
    how: str
    """``systemd``, ``systemd --user`` or ``crontab``."""
    when: str
    where: str
