"""What a sweep will probably cost and take, from earlier runs of the same models in the store."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sandbox.sweeps.spec import SweepFile
from sandbox.trace.store import Store

_PAST_RUNS = 300
"""Of each model that are looked at, the newest."""


_FIGURES = ("tokens", "cost_eur", "energy_kwh", "seconds")


@dataclass(frozen=True)
class ModelEstimate:
    """What the runs of one model will probably use."""

    model: str
    runs: int
    past: int
    """Earlier runs that it is taken from; 0 if nothing is known."""
    tokens: float
    cost_eur: float
    energy_kwh: float
    seconds: float
    """Of all runs together."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data; figures are None if nothing is known."""
        return {**vars(self), **({} if self.past else dict.fromkeys(_FIGURES))}


@dataclass(frozen=True)
class Plan:
    """A matrix counted, and what it will probably use."""

    runs: int
    by: Mapping[str, Mapping[str, int]]
    """Factor → value → runs."""
    models: tuple[ModelEstimate, ...]
    wall_seconds: float | None
    """Time on the clock; None if a model has no earlier runs."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        known = all(item.past for item in self.models)
        totals = {
            name: sum(getattr(m, name) for m in self.models) if known else None
            for name in _FIGURES[:-1]
        }
        return {
            "runs": self.runs,
            "matrix": {factor: dict(values) for factor, values in self.by.items()},
            "expected": {**totals, "seconds": self.wall_seconds},
            "models": [item.as_data() for item in self.models],
        }


FACTORS = ("scenario", "model", "scaffold", "defence", "lang", "parameters", "repetition")


def plan(
    spec: SweepFile, items: Iterable[Mapping[str, object]], store: Store, at_once: int
) -> Plan:
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
        pairs[str(item["model"]), str(item["scaffold"]), str(item["scenario"])] += 1
    models = tuple(_estimate(model, pairs, store) for model in by["model"])
    return Plan(sum(pairs.values()), by, models, _wall(spec, models, at_once))


def _estimate(model: str, pairs: Mapping[tuple[str, str, str], int], store: Store) -> ModelEstimate:
    past = [row.result for row in store.runs(model=model, status="finished", limit=_PAST_RUNS)]
    results = [result for result in past if isinstance(result, dict)]
    runs = {key[1:]: n for key, n in pairs.items() if key[0] == model}
    sums = np.zeros(len(_FIGURES))
    for (scaffold, scenario), number in runs.items() if results else ():
        # the same scaffold if it has run; another one's figures are better than none
        alike = [r for r in results if r.get("scaffold", "react") == scaffold] or results
        same = [r for r in alike if r.get("scenario") == scenario] or alike
        figures = [[float(result.get(name) or 0) for name in _FIGURES] for result in same]
        sums += number * np.mean(figures, axis=0)
    return ModelEstimate(model, sum(runs.values()), len(results), *sums.tolist())


def _wall(spec: SweepFile, models: Sequence[ModelEstimate], at_once: int) -> float | None:
    """Return the longest of what all runs take together, and each provider's by itself."""
    if not all(item.past for item in models):
        return None
    by_provider = defaultdict[str, float](float)
    for item in models:
        by_provider[item.model.partition("/")[0]] += item.seconds
    alone = [
        seconds / min(spec.concurrency.of(provider) or at_once, at_once)
        for provider, seconds in by_provider.items()
    ]
    return max([sum(by_provider.values()) / at_once, *alone])
