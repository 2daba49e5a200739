"""What is to be run, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.agents.scaffolds import REACT, Driver
from sandbox.gate.approval import Approver
from sandbox.gate.gate import Mode
from sandbox.isolation.base import Backend, Bounds
from sandbox.models.base import Source
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.policy import Policy
from sandbox.runs.data_retention import Handling
from sandbox.runs.fork_source import Fork
from sandbox.scenario.instance import Instance
from sandbox.scenario.toolkits import Catalogue


class Place(Protocol):
    """What a run was planned as, where it is one of many: it is taken and filled with the run itself."""

    def names(self) -> Mapping[str, str]:
        """Return what the run's first event says of it."""
        ...

    def taken(self, run: str) -> Any:
        """Return the statement of the transaction that begins the run; it must touch a row."""
        ...

    def filled(self, run: str, result: Mapping[str, Any]) -> Any:
        """Return the statement of the transaction that ends the run; it must touch a row."""
        ...


@dataclass(frozen=True)
class RunPlan:
    """One run before it starts."""

    instance: Instance
    model_name: str
    model: Source
    backend: Backend
    catalogue: Catalogue
    families: tuple[MonitorFamily, ...]
    decider: Approver
    mode: Mode = "observe"
    tool_lang: str = "en"
    """Language of tool descriptions."""
    bounds: Bounds = field(default_factory=Bounds)
    limits: dict[str, float] = field(default_factory=dict)
    """Limit → value in place of the scenario's."""
    fork: Fork | None = None
    """The run from which this one goes on; None where it starts afresh."""
    handling: Handling = field(default_factory=Handling)
    """Purpose, legal basis and retention of personal data."""
    place: Place | None = None
    """The item of a sweep that it fills."""
    scaffold: Driver = REACT
    """What drives the model."""
    policy: Policy | None = None
    """What follows from the scores of several monitors together, if anything."""


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
    parent: str | None = None
    """The run from which it was forked."""
    fork_at: int | None = None
    """The parent's event from which on things happened anew."""
    scaffold: str = "react"
    """What drove the model."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**data, "verdicts": list(self.verdicts)}


@dataclass(frozen=True)
class Progress:
    """Something that happened in a run, for a live view."""

    run: str
    kind: str
    """Kind of event; see :data:`sandbox.trace.events.KINDS`."""
    data: Any


Watcher = Callable[[Progress], None]
Watchers = Sequence[Watcher]
