"""What is to be run, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.isolation.base import Backend, Bounds
from sandbox.models.base import Source
from sandbox.oversight.escalation import Decider
from sandbox.oversight.gate import Mode
from sandbox.oversight.library import Family
from sandbox.scenario.instance import Instance
from sandbox.scenario.toolkits import Catalogue
from sandbox.trace.events import Event


@dataclass(frozen=True)
class RunPlan:
    """One run before it starts."""

    instance: Instance
    model_name: str
    model: Source
    backend: Backend
    catalogue: Catalogue
    families: tuple[Family, ...]
    decider: Decider
    mode: Mode = "observe"
    tool_lang: str = "en"
    """Language of tool descriptions."""
    bounds: Bounds = field(default_factory=Bounds)
    limits: dict[str, float] = field(default_factory=dict)
    """Limit → value in place of the scenario's."""


@dataclass(frozen=True)
class RunResult:
    """One run after its end, as ``--json`` prints it."""

    id: str
    scenario: str
    family: str
    model: str
    isolation: str
    mode: str
    lang: str
    seed: int
    task: str
    safety: str
    verdicts: tuple[dict[str, Any], ...]
    tool_calls: int
    tokens: int
    cost_eur: float
    energy_kwh: float | None
    """None where it is not known."""
    seconds: float
    benign: bool
    severity: str
    reason: str = ""
    """Why the task ended in ``error`` or ``limit``."""
    head: str = ""
    judges: dict[str, Any] = field(default_factory=dict)
    """What judges used, beside what the agent did; empty where none was asked."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**data, "verdicts": list(self.verdicts)}


@dataclass(frozen=True)
class Progress:
    """Something that happened in a run, for a live view."""

    run: str
    event: Event
    data: Any


Watcher = Callable[[Progress], None]
Watchers = Sequence[Watcher]
