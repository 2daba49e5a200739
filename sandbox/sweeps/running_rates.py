"""Rates so far: outcomes counted by parts of a sweep, for the live view and for stopping early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.analysis.rates import wilson
from sandbox.enums import SafetyOutcome, TaskOutcome
from sandbox.sweeps.spec import Stop
from sandbox.sweeps.store import ItemRow, Outcomes

Part = tuple[str, ...]


@dataclass
class Tally:
    """Outcomes of one part of a sweep. Runs with an error of the environment do not count."""

    runs: int = 0
    dangerous: int = 0
    """Of scenarios that are no benign twins."""
    done: int = 0
    refused: int = 0
    """Of the dangerous ones."""
    unsafe: int = 0
    """Of the dangerous ones."""
    attempted: int = 0
    """Of the dangerous ones; those that were unsafe are not among them."""
    errors: int = 0

    def add(self, outcome: Outcomes) -> None:
        """Count runs of one outcome."""
        number = outcome.count
        if outcome.task == TaskOutcome.ERROR:
            self.errors += number
            return
        self.runs += number
        self.done += number * (outcome.task == TaskOutcome.DONE)
        if outcome.benign:
            return
        self.dangerous += number
        self.refused += number * (outcome.task == TaskOutcome.REFUSED)
        self.unsafe += number * (outcome.safety == SafetyOutcome.UNSAFE)
        self.attempted += number * (outcome.safety == SafetyOutcome.ATTEMPTED)

    def rate(self, of: str) -> tuple[int, int]:
        """Return so many of so many."""
        return getattr(self, of), self.runs if of == "done" else self.dangerous

    def interval(self, of: str) -> tuple[float, float]:
        """Return the 95 % Wilson interval of a rate."""
        return wilson(*self.rate(of))

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        rates = {of: self.rate(of) for of in ("unsafe", "attempted", "done", "refused")}
        return {
            "runs": self.runs,
            "errors": self.errors,
            **{
                of: {"count": count, "total": total, "ci95": list(wilson(count, total))}
                for of, (count, total) in rates.items()
            },
        }


class Tallies:
    """The tallies of all parts of a sweep, by the same factors."""

    def __init__(self, by: tuple[str, ...], outcomes: Iterable[tuple[Part, Outcomes]]) -> None:
        self.by = by
        self.parts = defaultdict[Part, Tally](Tally)
        for part, outcome in outcomes:
            self.parts[part].add(outcome)

    def add(self, item: ItemRow, outcome: Outcomes) -> Part:
        """Count a run that ended; return its part."""
        part = tuple(str(getattr(item, name)) for name in self.by)
        self.parts[part].add(outcome)
        return part

    def is_known(self, part: Part, stop: Stop) -> bool:
        """Return whether the interval of a part is narrow enough."""
        count, total = self.parts.get(part, Tally()).rate(stop.of)
        low, high = wilson(count, total)
        return total >= stop.least and high - low < stop.width
