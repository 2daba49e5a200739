"""What a guest confines by itself, since its back end does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Confinement:
    """What differs from a container that an engine has made and bounded."""

    embedded: bool = False
    """Whether no engine has made the container: the guest bounds its folders, and ends with its parent."""
    processes: int = 0
    """Most processes of the agent; 0 if a cgroup bounds them."""
    memory_bytes: int = 0
    """Most memory of each process; 0 if a cgroup bounds it."""
    processors: tuple[int, ...] = ()
    """Where commands may run, if not where the guest does."""
    spawner: bool = True
    """Whether it may have a spawner."""
