"""Tables of sweeps: the sweep, its items (one for each planned run), and who may execute it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class SweepRow(SQLModel, table=True):
    """One execution of a sweep file, such as one night's."""

    __tablename__ = "sweep"

    id: str = Field(primary_key=True)
    name: str
    """The file's; nights of one sweep share it."""
    created: float
    status: str
    """``planned``, ``running``, ``finished``, ``stopped`` (budget), ``interrupted`` or ``failed``."""
    reason: str = ""
    """Why it stopped, if it did not finish."""
    spec: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    """The sweep file, as it was when the sweep began."""
    scenarios: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    """Scenario → SHA-256 of its definition and world, which must be the same on resuming."""
    planned: int
    """Number of items."""
    seconds: float = 0.0
    """Time on the clock, of all executions together."""
    ended: float | None = None


class ItemRow(SQLModel, table=True):
    """One planned run: a point of the matrix."""

    __tablename__ = "sweep_item"

    sweep: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    """Hash of the factors: the same in every sweep that plans the same run."""
    number: int
    """Order of execution, from 0."""
    scenario: str
    """With the variant behind ``@``."""
    family: str
    benign: bool
    model: str
    provider: str
    """The model's part before the first slash; concurrency and budgets go by it."""
    defence: str
    """Name of the set of monitors and the mode."""
    monitors: list[str] | None = Field(default=None, sa_column=Column(JSON))
    """Monitor families; None for those that the scenario names."""
    mode: str
    lang: str
    parameters: str
    """Name of the set of parameters."""
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    """``limits`` (limit → value) and ``tool_lang``, as far as they are set."""
    scaffold: str = "react"
    """What drives the model."""
    repetition: int
    """From 0."""
    seed: int
    status: str = "planned"
    """``planned``, ``running``, ``finished``, or ``skipped`` (an interval was narrow enough)."""
    run: str | None = None
    """Id of the run that fills it, or of the last that tried to."""
    attempts: int = 0
    """Runs that were begun for it."""
    failures: int = 0
    """Those of them that ended in an error of the environment and were tried again."""
    task: str | None = None
    safety: str | None = None
    tokens: int = 0
    """Of all its runs that ended, those that were tried again among them; so the figures below."""
    cost_eur: float = 0.0
    energy_kwh: float = 0.0
    """0 if it is not known."""
    seconds: float = 0.0
    judge_tokens: int = 0
    """What its judges used, which is in none of the figures above."""
    judge_cost_eur: float = 0.0


class ClaimRow(SQLModel, table=True):
    """Who executes sweeps of a name: one process at a time."""

    __tablename__ = "sweep_claim"

    name: str = Field(primary_key=True)
    sweep: str
    owner: str
    """Label of the process; see :class:`sandbox.isolation.process_identity.Owner`."""
    beat: float
    """The last heartbeat, in seconds since the epoch."""
