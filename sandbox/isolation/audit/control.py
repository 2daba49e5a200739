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
    actual: str
    source: str
    """Who says what was found: ``engine``, ``kernel``, ``agent`` or ``guest``."""
    holds: bool

    @classmethod
    def equal(cls, name: str, declared: object, actual: object, source: str) -> Control:
        """Return a control that holds if both are the same."""
        return cls(name, text(declared), text(actual), source, declared == actual)

    @classmethod
    def nothing_but(
        cls, name: str, declared: Iterable[str], actual: Iterable[str], source: str
    ) -> Control:
        """Return a control that holds if nothing was found beyond what was declared."""
        most, there = set(declared), set(actual)
        return cls(
            name, f"at most {text(sorted(most))}", text(sorted(there)), source, there <= most
        )

    def as_data(self) -> ControlState:
        """Return it as JSON data: ``declared`` only if it reads otherwise than ``found``."""
        state: ControlState = {"found": self.actual, "source": self.source}
        return state if self.declared == self.actual else {**state, "declared": self.declared}


def unshared(name: str, namespaces: Iterable[str], shared: list[str], source: str) -> Control:
    """Return a control that holds if no namespace of a guest is shared with the host."""
    own = f"own {', '.join(namespaces)}"
    actual = f"not its own: {', '.join(shared)}" if shared else own
    return Control(name, own, actual, source, not shared)


def settle(controls: Iterable[Control]) -> Mapping[str, Control]:
    """Return controls by name, having made sure that each holds.

    Raises:
        IsolationError: One does not; the message names each such control with both sides.
    """
    by_name: dict[str, Control] = {}
    for control in controls:
        if control.name in by_name:
            raise ValueError(f"two controls are called {control.name}")
        by_name[control.name] = control
    problems = [
        f"{c.name} (declared: {c.declared}; found by the {c.source}: {c.actual})"
        for c in by_name.values()
        if not c.holds
    ]
    if problems:
        raise IsolationError(f"not in force in the container: {'; '.join(problems)}")
    return by_name


def text(value: object) -> str:
    """Return a value as people read it."""
    match value:
        case None | "" | [] | () | {} if not value:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case Mapping():
            return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
    return str(value)
