"""What a sweep has used of its budgets, and whether another run may be begun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.sweeps.spec import Amounts, Budget
from sandbox.sweeps.store import Counts

UNITS = ("tokens", "eur", "kwh", "seconds")


@dataclass
class Consumption:
    """What runs have used together."""

    runs: int = 0
    tokens: float = 0.0
    eur: float = 0.0
    kwh: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, counts: Counts) -> Consumption:
        """Return what stands in the store."""
        return cls(
            counts.finished, counts.tokens, counts.cost_eur, counts.energy_kwh, counts.seconds
        )

    def add(self, other: Consumption) -> None:
        """Add what another run, or several, used."""
        self.runs += other.runs
        for unit in UNITS:
            setattr(self, unit, getattr(self, unit) + getattr(other, unit))

    def expected(self, unit: str, runs: int) -> float:
        """Return what so many more runs will use, if they are like those before."""
        return float(getattr(self, unit)) / self.runs * runs if self.runs else 0.0


@dataclass
class Spending:
    """Budgets of a sweep and of its providers."""

    budget: Budget
    by_provider: dict[str, Consumption]
    wall_before: float = 0.0
    """Seconds that earlier executions of the sweep took."""
    running: Counter[str] = field(default_factory=Counter)
    """Provider → runs that go on."""
    judges: Consumption = field(default_factory=Consumption)
    """What judges used: of the sweep's budget, but of none of the agents' providers."""

    @classmethod
    def of(cls, budget: Budget, counts: Mapping[str, Counts], wall_before: float) -> Spending:
        """Return what a sweep has used so far; ``counts`` are by provider."""
        used = {provider: Consumption.of(item) for provider, item in counts.items()}
        judges = Consumption(
            tokens=sum(item.judge_tokens for item in counts.values()),
            eur=sum(item.judge_cost_eur for item in counts.values()),
        )
        return cls(budget, used, wall_before, judges=judges)

    def total(self) -> Consumption:
        """Return what all providers' runs used, judges included."""
        total = Consumption()
        for used in (self.judges, *self.by_provider.values()):
            total.add(used)
        return total

    def add(self, provider: str, used: Consumption, judges: Consumption | None = None) -> None:
        """Count a run that has ended, and what its judges used."""
        self.by_provider.setdefault(provider, Consumption()).add(used)
        self.judges.add(judges or Consumption())

    def exhausted(self, wall: float) -> str | None:
        """Return which budget of the sweep leaves no room for another run.

        Args:
            wall: Seconds since this execution began.
        """
        seconds = self.budget.seconds
        if seconds is not None and self.wall_before + wall >= seconds:
            return f"the budget of {seconds:g} seconds is used up"
        running = self.running.total()
        return _beyond(self.budget, self.total(), running, UNITS[:3], "")

    def exhausted_of(self, provider: str) -> str | None:
        """Return which budget of a provider leaves no room for another run of its models."""
        amounts = self.budget.providers.get(provider)
        if amounts is None:
            return None
        used = self.by_provider.get(provider, Consumption())
        return _beyond(amounts, used, self.running[provider], UNITS, f"{provider}'s ")


def _beyond(
    amounts: Amounts, used: Consumption, running: int, units: tuple[str, ...], whose: str
) -> str | None:
    for unit in units:
        most = getattr(amounts, unit)
        if most is None:
            continue
        spent = getattr(used, unit)
        if spent >= most or spent + used.expected(unit, running + 1) > most:
            return (
                f"{whose or 'the '}budget of {most:g} {unit} leaves no room: {spent:.6g} are used"
            )
    return None
