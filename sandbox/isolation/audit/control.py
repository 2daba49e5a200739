"""One control of a container: what was declared, what was found, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.errors import IsolationError
from sandbox.trace.run_events import ControlState

ENGINE, KERNEL, AGENT, GUEST = "engine", "kernel", "agent", "guest"
"""Sources: ``docker inspect``, the host's kernel, a process of the agent, the guest."""


@dataclass(frozen=True)
class Control:
    """What one control was to be and what it is."""

    name: str
    declared: str
    found: str
    source: str
    """Who says what was found: ``engine``, ``kernel``, ``agent`` or ``guest``."""
    holds: bool

    @classmethod
    def equal(cls, name: str, declared: object, found: object, source: str) -> Control:
        """Return a control that holds where both are the same."""
        return cls(name, text(declared), text(found), source, declared == found)

    @classmethod
    def nothing_but(
        cls, name: str, declared: Iterable[str], found: Iterable[str], source: str
    ) -> Control:
        """Return a control that holds where nothing was found beyond what was declared."""
        allowed, there = set(declared), set(found)
        return cls(
            name, "at most " + text(sorted(allowed)), text(sorted(there)), source, there <= allowed
        )

    def as_data(self) -> ControlState:
        """Return it as JSON data: ``declared`` only where it reads otherwise than ``found``."""
        state: ControlState = {"found": self.found, "source": self.source}
        return state if self.declared == self.found else {**state, "declared": self.declared}


def settle(controls: Iterable[Control]) -> Mapping[str, Control]:
    """Return controls by name, having made sure that each is in force.

    Raises:
        IsolationError: One is not; the message names each such control with both sides.
    """
    by_name: dict[str, Control] = {}
    for control in controls:
        if control.name in by_name:
            raise ValueError(f"two controls are called {control.name}")
        by_name[control.name] = control
    if failed := [control for control in by_name.values() if not control.holds]:
        said = "; ".join(
            f"{c.name} (declared: {c.declared}; found by the {c.source}: {c.found})" for c in failed
        )
        raise IsolationError(f"not in force in the container: {said}")
    return by_name


def text(value: object) -> str:
    """Return a value as people read it."""
    if value is None or value in ("", [], {}, ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
    return str(value)
