"""Mounts of a container against the rules of its back end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Mount:
    """One line of ``/proc/self/mountinfo``."""

    point: str
    kind: str
    """Type of the file system."""
    read_only: bool
    """By its own flags or by those of the file system."""


@dataclass(frozen=True)
class MountRule:
    """What may be mounted where."""

    pattern: str
    """Of mount points; ``*`` also takes slashes."""
    kinds: frozenset[str] = frozenset()
    """Types of file systems; any if empty."""
    read_only: bool = True

    def allows(self, mount: Mount) -> bool:
        """Return whether a mount is what the rule speaks of and as it says."""
        return (
            (
                mount.point == self.pattern
                or ("*" in self.pattern and fnmatchcase(mount.point, self.pattern))
            )
            and (not self.kinds or mount.kind in self.kinds)
            and (mount.read_only or not self.read_only)
        )


def virtual_file_system(pattern: str, *kinds: str) -> MountRule:
    """Return the rule for file systems that hold nothing of the host's disks; they may be writable.

    What of them the agent can in fact write to is a control of its own.
    """
    return MountRule(pattern, frozenset(kinds), read_only=False)


def parse_mountinfo(text: str) -> list[Mount]:
    """Return the mounts of a mountinfo text, see proc_pid_mountinfo(5).

    Raises:
        ValueError: A line is not of that form.
    """
    return [_mount(line) for line in text.split("\n") if line]


def unexpected(mounts: Iterable[Mount], rules: Iterable[MountRule]) -> list[str]:
    """Return what no rule allows, in words."""
    known = tuple(rules)
    return [
        f"{mount.point} ({mount.kind}, {'read-only' if mount.read_only else 'writable'})"
        for mount in mounts
        if not any(rule.allows(mount) for rule in known)
    ]


def _mount(line: str) -> Mount:
    before, separator, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    if not separator or len(fields) < 6 or len(rest) < 3:
        raise ValueError("not a line of mountinfo")
    read_only = "ro" in fields[5].split(",") or "ro" in rest[2].split(",")
    return Mount(fields[4], rest[0], read_only)
