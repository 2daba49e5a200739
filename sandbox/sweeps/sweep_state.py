"""The course of a sweep while it is executed: what is done, what it used, what may still be begun."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox.runs.run_plan import RunResult
from sandbox.sweeps.adaptive_concurrency import Pace
from sandbox.sweeps.budget import Spending, Used
from sandbox.sweeps.log import log
from sandbox.sweeps.running_rates import Tallies, Tally
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import Counts, ItemRow, Outcomes, Sweeps
from sandbox.sweeps.tables import SweepRow

SHOWN_BY = ("model", "scaffold", "defence")
"""Factors of the rates that a live view shows."""


@dataclass(frozen=True)
class Filled:
    """What came of one item."""

    run: str
    task: str
    safety: str
    tokens: int
    cost_eur: float
    energy_kwh: float
    seconds: float
    judges: Used
    """What its judges used: tokens and euros."""
    reason: str = ""
    """Why the task ended in ``error`` or ``limit``."""

    @classmethod
    def of(cls, result: RunResult | Mapping[str, object]) -> Self:
        """Return what a run's result says."""
        data: Any = result.as_data() if isinstance(result, RunResult) else result
        judges = data.get("judges") or {}
        return cls(
            data["id"],
            data["task"],
            data["safety"],
            data["tokens"],
            data["cost_eur"],
            data["energy_kwh"] or 0.0,
            data["seconds"],
            Used(tokens=judges.get("tokens", 0), eur=judges.get("cost_eur", 0.0)),
            data.get("reason") or "",
        )

    def used(self) -> Used:
        """Return what it used."""
        return Used(1, self.tokens, self.cost_eur, self.energy_kwh, self.seconds)


@dataclass(frozen=True)
class Standing:
    """How a sweep stands at one moment."""

    planned: int
    finished: int
    failed: int
    skipped: int
    running: int
    elapsed: float
    """Seconds of this execution."""
    left: float | None
    """Seconds that the rest will take if it goes on like this; None where nothing is known."""
    used: Used
    rates: Mapping[tuple[str, ...], Tally]
    """By :data:`SHOWN_BY`."""
    paces: Mapping[str, Pace]
    """Provider → how many of its runs may go on."""


Done = Callable[[ItemRow, Filled], None]


def log_item(item: ItemRow, filled: Filled, *, again: bool = False) -> None:
    """Write a record of an item's end."""
    fields = {name: getattr(item, name) for name in ("key", "scenario", "model", "seed")}
    fields |= {name: getattr(filled, name) for name in ("run", "task", "safety", "seconds")}
    fields |= {"tokens": filled.tokens, "cost_eur": filled.cost_eur}
    failed = filled.task == "error"
    log(
        "item.retry" if again else "item.end",
        level=logging.WARNING if failed else logging.INFO,
        **fields,
        reason=filled.reason or None,
    )


@dataclass
class Course:
    """The state of one execution. It holds counts only, however many runs there are."""

    sweep: SweepRow
    spec: SweepFile
    sweeps: Sweeps
    paces: dict[str, Pace]
    spending: Spending
    shown: Tallies
    stopping: Tallies | None
    counts: Counts
    done: Done | None = None
    clock: Callable[[], float] = time.monotonic
    finished: int = field(init=False, default=0)
    """Of this execution."""
    failed: int = field(init=False, default=0)
    skipped: int = field(init=False, default=0)
    reasons: dict[str, str] = field(init=False, default_factory=dict)
    """Provider, or nothing for all → why no more is begun."""
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @classmethod
    def of(
        cls, sweeps: Sweeps, sweep: SweepRow, spec: SweepFile, at_once: int, done: Done | None
    ) -> Course:
        """Return the course of a sweep from where the store says that it stands.

        Args:
            sweeps: Of the store.
            sweep: The sweep.
            spec: Its file, with budgets as they hold for this execution.
            at_once: The most runs that can go on at once.
            done: Called with each item that is filled.
        """
        paces = {}
        for provider in sweeps.providers(sweep.id):
            most = spec.concurrency.of(provider)
            paces[provider] = Pace(
                at_once if most is None else min(most, at_once), provider=provider
            )
        by_provider = {key[0]: n for key, n in sweeps.counts(sweep.id, "provider").items()}
        by = spec.stop.by if spec.stop else None
        course = cls(
            sweep,
            spec,
            sweeps,
            paces,
            Spending.of(spec.budget, by_provider, sweep.seconds),
            Tallies(SHOWN_BY, sweeps.outcomes(sweep.id, *SHOWN_BY)),
            Tallies(by, sweeps.outcomes(sweep.id, *by)) if by else None,
            sweeps.counts(sweep.id)[()],
            done,
        )
        for part in course.stopping.parts if course.stopping else ():
            course._skip_known(part)
        return course

    def halted(self, provider: str) -> bool:
        """Return whether no more runs of a provider may be begun."""
        if "" not in self.reasons and (reason := self.spending.exhausted(self.elapsed())):
            self.reasons[""] = reason
        if provider not in self.reasons and (reason := self.spending.exhausted_of(provider)):
            self.reasons[provider] = reason
        return "" in self.reasons or provider in self.reasons

    def begun(self, item: ItemRow) -> None:
        """Take it that a run for an item was begun."""
        running = self.spending.running
        running[item.provider] = running.get(item.provider, 0) + 1

    def ended(self, item: ItemRow, filled: Filled | None, *, again: bool = False) -> None:
        """Take it that a run for an item is over.

        Args:
            item: The item.
            filled: What came of it; None where it was not begun after all.
            again: Whether it is planned again.
        """
        self.spending.running[item.provider] -= 1
        if filled is None:
            return
        self.spending.add(item.provider, filled.used(), filled.judges)
        log_item(item, filled, again=again)
        if not again:
            self.finished += 1
            self.failed += filled.task == "error"
            outcome = Outcomes(item.benign, filled.task, filled.safety, 1)
            self.shown.add(item, outcome)
            if self.stopping:
                self._skip_known(self.stopping.add(item, outcome))
        if self.done:
            self.done(item, filled)

    def _skip_known(self, part: tuple[str, ...]) -> None:
        stop, tallies = self.spec.stop, self.stopping
        if stop and tallies and tallies.known_enough(part, stop):
            self.skipped += self.sweeps.skip(
                self.sweep.id, dict(zip(tallies.by, part, strict=True))
            )
            del tallies.parts[part]  # runs that still go on would only make it narrower

    def elapsed(self) -> float:
        """Return the seconds of this execution."""
        return self.clock() - self.began

    def standing(self) -> Standing:
        """Return how it stands now."""
        before = self.counts
        finished, skipped = before.finished + self.finished, before.skipped + self.skipped
        elapsed = self.elapsed()
        left = before.planned - finished - skipped
        return Standing(
            before.planned,
            finished,
            before.failed + self.failed,
            skipped,
            sum(self.spending.running.values()),
            elapsed,
            elapsed / self.finished * left if self.finished else None,
            self.spending.total(),
            self.shown.parts,
            self.paces,
        )
