"""What a judge has used in one run, apart from what the agent has used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.models.base import Usage
from sandbox.monitors.judges.schema import JudgeBudget
from sandbox.trace.run_events import JudgeUse


@dataclass
class JudgeUsage:
    """Counts of one judge in one run."""

    asked: int = 0
    """Questions: calls, results or runs that it was to judge."""
    unscored: int = 0
    """Of these, without a score."""
    calls: int = 0
    """Requests to models, repeated ones included."""
    cached: int = 0
    """Replies that were known from before; they cost nothing."""
    tokens: int = 0
    cost_eur: float = 0.0
    price_known: bool = True
    """False where a reply had no known price: the cost is then too low."""
    seconds: float = 0.0
    """Time of all requests, added up; those made at the same time count each."""

    def begin(self) -> None:
        """Count a request that is made now."""
        self.calls += 1

    def end(self, usage: Usage, seconds: float) -> None:
        """Count what a request has used."""
        self.tokens += usage.tokens
        self.cost_eur += usage.cost_eur
        self.price_known &= usage.price_known
        self.seconds += seconds

    def over_budget(self, budget: JudgeBudget) -> str:
        """Return which part of a budget is used up, or an empty text."""
        for name in ("calls", "tokens", "cost_eur"):
            if getattr(self, name) >= getattr(budget, name):
                return f"{name} {getattr(budget, name):g}"
        return ""

    def as_data(self) -> JudgeUse:
        """Return it as JSON data for the trace and the result."""
        return {
            "asked": self.asked,
            "unscored": self.unscored,
            "calls": self.calls,
            "cached": self.cached,
            "tokens": self.tokens,
            "cost_eur": round(self.cost_eur, 6),
            "price_known": self.price_known,
            "seconds": round(self.seconds, 3),
        }


def total(tallies: Iterable[JudgeUsage]) -> JudgeUsage:
    """Return the sum of several judges' counts."""
    found = JudgeUsage()
    for each in tallies:
        for name, value in vars(each).items():
            if name != "price_known":
                setattr(found, name, getattr(found, name) + value)
        found.price_known &= each.price_known
    return found
