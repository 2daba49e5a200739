"""Choosing a back end by name. ``auto`` never falls to none: it says what to install."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from sandbox.choices import Isolation
from sandbox.errors import EnvironmentFault, InputError, nearest
from sandbox.isolation.base import Backend
from sandbox.isolation.bubblewrap import Bubblewrap

NAMES: tuple[str, ...] = get_args(Isolation)


def backend(name: str, image: str | None = None) -> Backend:
    """Return a back end that runs here.

    Args:
        name: One of :data:`NAMES`; ``auto`` prefers Docker if engine and image are available,
            and never takes gVisor by itself.
        image: Of the Docker back ends.

    Raises:
        InputError: There is no such back end.
        EnvironmentFault: It cannot run here; the message says what to install.
    """
    if name not in NAMES:
        raise InputError(f"unknown isolation {name!r}{nearest(name, NAMES)}")
    reasons = []
    for candidate in usual(image) if name == "auto" else (_make(name, image),):
        reason = candidate.unavailable()
        if reason is None:
            return candidate
        reasons.append(f"{candidate.name}: {reason}")
    if name != "auto":
        raise EnvironmentFault(f"--isolation {reasons[0]}")
    raise EnvironmentFault("nothing here can isolate an agent\n  " + "\n  ".join(reasons))


def usual(image: str | None = None) -> Iterable[Backend]:
    """Return the back ends that are taken without being named: gVisor's cost is for those who ask."""
    return (_make(name, image) for name in ("docker", "bubblewrap"))


def every(image: str | None = None) -> Iterable[Backend]:
    """Return all back ends, whether they run here or not."""
    return (_make(name, image) for name in ("docker", "gvisor", "bubblewrap"))


def _make(name: str, image: str | None) -> Backend:
    if name == "bubblewrap":
        return Bubblewrap()
    # what speaks to an engine is only loaded for one
    from sandbox.isolation.docker import Docker
    from sandbox.isolation.gvisor import Gvisor

    return Gvisor(image) if name == "gvisor" else Docker(image)
