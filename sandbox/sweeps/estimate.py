"""What a sweep will probably cost and take, from earlier runs of the same models in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.sweeps.spec import SweepFile
from sandbox.trace.store import Store

_PAST_RUNS = 300
"""Of each model that are looked at, the newest."""


@dataclass(frozen=True)
class Mean:
    """What one run used on average."""

    runs: int
    tokens: float
    cost_eur: float
    energy_kwh: float
    seconds: float

    @classmethod
    def of(cls, results: Iterable[Mapping[str, Any]]) -> Mean | None:
        """Return the mean of runs; None where there are none."""
        found = list(results)
        if not found:
            return None
        sums = [
            sum(float(result.get(name) or 0) for result in found)
            for name in ("tokens", "cost_eur", "energy_kwh", "seconds")
        ]
        return cls(len(found), *(total / len(found) for total in sums))


@dataclass(frozen=True)
class Expected:
    """What the runs of one model will probably use."""

    model: str
    runs: int
    past: int
    """Earlier runs that it is taken from; 0 where nothing is known."""
    tokens: float
    cost_eur: float
    energy_kwh: float
    seconds: float
    """Of all runs together."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data; figures are None where nothing is known."""
        data = dict(vars(self))
        if not self.past:
            data.update(dict.fromkeys(("tokens", "cost_eur", "energy_kwh", "seconds")))
        return data


@dataclass(frozen=True)
class Plan:
    """A matrix counted, and what it will probably use."""

    runs: int
    by: Mapping[str, Mapping[str, int]]
    """Factor → value → runs."""
    models: tuple[Expected, ...]
    wall_seconds: float | None
    """Time on the clock; None where a model has no earlier runs."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        known = all(item.past for item in self.models)
        names = ("tokens", "cost_eur", "energy_kwh")
        totals = {
            name: sum(getattr(m, name) for m in self.models) if known else None for name in names
        }
        return {
            "runs": self.runs,
            "matrix": {factor: dict(values) for factor, values in self.by.items()},
            "expected": {**totals, "seconds": self.wall_seconds},
            "models": [item.as_data() for item in self.models],
        }


FACTORS = ("scenario", "model", "scaffold", "defence", "lang", "parameters", "repetition")


def plan(spec: SweepFile, items: Iterable[Mapping[str, Any]], store: Store, at_once: int) -> Plan:
    """Count the runs of a sweep and estimate what they will use.

    Args:
        spec: The sweep file.
        items: All its planned runs; they are looked at as they come.
        store: Where earlier runs are.
        at_once: Runs at the same time.
    """
    by: dict[str, Counter[str]] = {factor: Counter() for factor in FACTORS}
    pairs: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        for factor in FACTORS:
            by[factor][str(item[factor])] += 1
        pairs[item["model"], item["scaffold"], item["scenario"]] += 1
    models = tuple(_expected(model, pairs, store) for model in by["model"])
    return Plan(sum(pairs.values()), by, models, _wall(spec, models, at_once))


def _expected(model: str, pairs: Mapping[tuple[str, str, str], int], store: Store) -> Expected:
    past = [row.result for row in store.runs(model=model, status="finished", limit=_PAST_RUNS)]
    results = [result for result in past if isinstance(result, dict)]
    wanted = {key[1:]: n for key, n in pairs.items() if key[0] == model}
    sums = [0.0] * 4
    for (scaffold, scenario), number in wanted.items():
        # the same scaffold where it has run; another one's figures are better than none
        alike = [r for r in results if r.get("scaffold", "react") == scaffold] or results
        mean = Mean.of(r for r in alike if r.get("scenario") == scenario) or Mean.of(alike)
        if mean:
            used = (mean.tokens, mean.cost_eur, mean.energy_kwh, mean.seconds)
            sums = [total + number * value for total, value in zip(sums, used, strict=True)]
    return Expected(model, sum(wanted.values()), len(results), *sums)


def _wall(spec: SweepFile, models: Iterable[Expected], at_once: int) -> float | None:
    """Return the longest of what all runs take together, and each provider's by itself."""
    total, by_provider = 0.0, Counter[str]()
    for item in models:
        if not item.past:
            return None
        total += item.seconds
        by_provider[item.model.partition("/")[0]] += item.seconds  # type: ignore[assignment]
    alone = [
        seconds / min(spec.concurrency.of(provider) or at_once, at_once)
        for provider, seconds in by_provider.items()
    ]
    return max([total / at_once, *alone])
