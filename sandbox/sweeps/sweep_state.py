"""The course of a sweep while it is executed: what is done, what it used, what may still be begun."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from sandbox.enums import TaskOutcome
from sandbox.runs.run_plan import RunResult
from sandbox.sweeps.adaptive_concurrency import AdaptiveLimit
from sandbox.sweeps.budget import Consumption, Spending
from sandbox.sweeps.log import log
from sandbox.sweeps.running_rates import Tallies, Tally
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import Counts, ItemRow, Outcomes, Sweeps
from sandbox.sweeps.tables import SweepRow

RATE_FACTORS = ("model", "scaffold", "defence")
"""Factors of the rates that a live view shows."""


@dataclass(frozen=True)
class ItemOutcome:
    """The outcome of one item."""

    run: str
    task: str
    safety: str
    agents: Consumption
    judges: Consumption
    reason: str = ""
    """Why the task ended in ``error`` or ``limit``."""

    @classmethod
    def of(cls, result: RunResult) -> Self:
        """Return the outcome by the result of the item's run."""
        judges = result.judges
        return cls(
            result.id,
            result.task,
            result.safety,
            Consumption(
                1, result.tokens, result.cost_eur, result.energy_kwh or 0.0, result.seconds
            ),
            Consumption(tokens=judges.get("tokens", 0), eur=judges.get("cost_eur", 0.0)),
            result.reason,
        )

    @classmethod
    def of_item(cls, item: ItemRow) -> Self:
        """Return the outcome by the row of a finished item: all of its runs are counted."""
        return cls(
            str(item.run),
            str(item.task),
            str(item.safety),
            Consumption(1, item.tokens, item.cost_eur, item.energy_kwh, item.seconds),
            Consumption(tokens=item.judge_tokens, eur=item.judge_cost_eur),
        )


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
    used: Consumption
    rates: Mapping[tuple[str, ...], Tally]
    """By :data:`SHOWN_BY`."""
    paces: Mapping[str, AdaptiveLimit]
    """Provider → how many of its runs may go on."""


ItemListener = Callable[[ItemRow, ItemOutcome], None]


def log_item(item: ItemRow, outcome: ItemOutcome, *, again: bool = False) -> None:
    """Write a record of an item's end."""
    log(
        "item.retry" if again else "item.end",
        level=logging.WARNING if outcome.task == TaskOutcome.ERROR else logging.INFO,
        **{name: getattr(item, name) for name in ("key", "scenario", "model", "seed")},
        **{name: getattr(outcome, name) for name in ("run", "task", "safety")},
        seconds=outcome.agents.seconds,
        tokens=outcome.agents.tokens,
        cost_eur=outcome.agents.eur,
        reason=outcome.reason or None,
    )


@dataclass
class Course:
    """The state of one execution. It holds counts only, however many runs there are."""

    sweep: SweepRow
    spec: SweepFile
    sweeps: Sweeps
    paces: dict[str, AdaptiveLimit]
    spending: Spending
    rates: Tallies
    stopping: Tallies | None
    counts: Counts
    listener: ItemListener | None = None
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
        cls,
        sweeps: Sweeps,
        sweep: SweepRow,
        spec: SweepFile,
        at_once: int,
        listener: ItemListener | None,
    ) -> Course:
        """Return the course of a sweep from where the store says that it stands.

        Args:
            sweeps: Of the store.
            sweep: The sweep.
            spec: Its file, with budgets as they hold for this execution.
            at_once: The most runs that can go on at once.
            listener: Called with each item that is filled.
        """
        most = {name: spec.concurrency.of(name) or at_once for name in sweeps.providers(sweep.id)}
        paces = {name: AdaptiveLimit(min(at_once, n), provider=name) for name, n in most.items()}
        by_provider = {key[0]: n for key, n in sweeps.counts(sweep.id, "provider").items()}
        by = spec.stop.by if spec.stop else None
        course = cls(
            sweep,
            spec,
            sweeps,
            paces,
            Spending.of(spec.budget, by_provider, sweep.seconds),
            Tallies(RATE_FACTORS, sweeps.outcomes(sweep.id, *RATE_FACTORS)),
            Tallies(by, sweeps.outcomes(sweep.id, *by)) if by else None,
            sweeps.counts(sweep.id)[()],
            listener,
        )
        for part in tuple(course.stopping.parts) if course.stopping else ():
            course._skip_known(part)
        return course

    def is_halted(self, provider: str) -> bool:
        """Return whether no more runs of a provider may be begun."""
        if "" not in self.reasons and (reason := self.spending.exhausted(self.elapsed())):
            self.reasons[""] = reason
        if provider not in self.reasons and (reason := self.spending.exhausted_of(provider)):
            self.reasons[provider] = reason
        return "" in self.reasons or provider in self.reasons

    def start(self, item: ItemRow) -> None:
        """Note that a run for an item begins."""
        self.spending.running[item.provider] += 1

    def end(self, item: ItemRow, outcome: ItemOutcome | None, *, again: bool = False) -> None:
        """Note that a run for an item is over.

        Args:
            item: The item.
            outcome: Its outcome; None if it was not begun after all.
            again: Whether it is planned again.
        """
        self.spending.running[item.provider] -= 1
        if outcome is None:
            return
        self.spending.add(item.provider, outcome.agents, outcome.judges)
        log_item(item, outcome, again=again)
        if not again:
            self.finished += 1
            self.failed += outcome.task == TaskOutcome.ERROR
            count = Outcomes(item.benign, outcome.task, outcome.safety, 1)
            self.rates.add(item, count)
            if self.stopping:
                self._skip_known(self.stopping.add(item, count))
        if self.listener:
            self.listener(item, outcome)

    def _skip_known(self, part: tuple[str, ...]) -> None:
        stop, tallies = self.spec.stop, self.stopping
        if stop and tallies and tallies.is_known(part, stop):
            self.skipped += self.sweeps.skip(
                self.sweep.id, dict(zip(tallies.by, part, strict=True))
            )
            del tallies.parts[part]  # runs that still go on would only make it narrower

    def elapsed(self) -> float:
        """Return the seconds of this execution."""
        return self.clock() - self.began

    def total_seconds(self) -> float:
        """Return the seconds of all executions of the sweep."""
        return self.sweep.seconds + self.elapsed()

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
            self.spending.running.total(),
            elapsed,
            elapsed / self.finished * left if self.finished else None,
            self.spending.total(),
            self.rates.parts,
            self.paces,
        )
