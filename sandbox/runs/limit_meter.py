"""Counting a run against its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.models.base import Usage
from sandbox.scenario.schema import Limits

UNITS = ("turns", "tool_calls", "tokens", "cost_eur")


@dataclass
class Meter:
    """What a run has used, and what it may use."""

    limits: Limits
    used: dict[str, float] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    price_known: bool = True
    """False where a reply had no known price: the cost is then too low."""
    energy_kwh: float | None = 0.0
    """None as soon as one reply's is not known."""

    def add_reply(self, usage: Usage) -> None:
        """Count one reply of a model."""
        self.used["turns"] += 1
        self.used["tokens"] += usage.tokens
        self.used["cost_eur"] += usage.cost_eur
        self.price_known &= usage.price_known
        known = self.energy_kwh is not None and usage.energy_kwh is not None
        self.energy_kwh = self.energy_kwh + usage.energy_kwh if known else None  # type: ignore[operator]

    def add_call(self) -> None:
        """Count one tool call."""
        self.used["tool_calls"] += 1

    def reached(self, *which: str) -> str | None:
        """Return the first of the named limits that is used up."""
        return next((n for n in which if self.used[n] >= getattr(self.limits, n)), None)
