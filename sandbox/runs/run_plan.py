"""What is to be run, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Update

from sandbox.agents.scaffolds import Driver
from sandbox.enums import Mode
from sandbox.gate.approval import Approver
from sandbox.isolation.base import Backend
from sandbox.models.base import Source
from sandbox.monitors.library import MonitorFamily
from sandbox.monitors.policy import Policy
from sandbox.runs.data_retention import Handling
from sandbox.runs.fork_source import Fork
from sandbox.scenario.bounds import Bounds
from sandbox.scenario.instance import Instance
from sandbox.scenario.schema import Limits
from sandbox.scenario.toolkits import Catalogue
from sandbox.trace.call_events import VerdictData
from sandbox.trace.run_events import SweepItem


class RunSlot(Protocol):
    """The item of a sweep that a run fills: claimed and filled in the transactions of the run itself."""

    def names(self) -> SweepItem:
        """Return what the run's first event says of it."""

    def claim(self, run: str) -> Update:
        """Return the statement of the transaction that begins the run; it must touch a row."""

    def fill(self, run: str, result: RunResult) -> Update:
        """Return the statement of the transaction that ends the run; it must touch a row."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One run before it starts, complete; :class:`sandbox.runs.planner.Planner` makes it."""

    instance: Instance
    model_name: str
    model: Source
    backend: Backend
    catalogue: Catalogue
    families: tuple[MonitorFamily, ...]
    decider: Approver
    mode: Mode
    tool_lang: str
    """Language of tool descriptions."""
    bounds: Bounds
    limits: Limits
    fork: Fork | None
    """The run from which this one goes on; None if it starts afresh."""
    handling: Handling
    """Purpose, legal basis and retention of personal data."""
    slot: RunSlot | None
    scaffold: Driver
    policy: Policy | None
    """What follows from the scores of several monitors together, if anything."""


class ResultVerdict(VerdictData):
    """A verdict as a result tells it."""

    event: int
    """Position of its event."""


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
    verdicts: tuple[ResultVerdict, ...]
    tool_calls: int
    tokens: int
    cost_eur: float
    energy_kwh: float | None
    """None if it is not known."""
    seconds: float
    benign: bool
    severity: str
    reason: str = ""
    """Why the task ended in ``error`` or ``limit``."""
    head: str = ""
    judges: Mapping[str, Any] = field(default_factory=dict)
    """What judges used, beside what the agent did; empty where none was asked."""
    parent: str | None = None
    """The run from which it was forked."""
    fork_at: int | None = None
    """The parent's event from which on things happened anew."""
    scaffold: str = "react"
    """What drove the model."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> RunResult:
        """Return a result from its JSON data; what another version added is left out."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**{**known, "verdicts": tuple(data["verdicts"])})

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {**vars(self), "verdicts": list(self.verdicts)}


@dataclass(frozen=True)
class Progress:
    """Something that happened in a run, for a live view."""

    run: str
    kind: str
    """Kind of event; see :data:`sandbox.trace.events.KINDS`."""
    data: Any


Watcher = Callable[[Progress], None]
Watchers = Sequence[Watcher]
