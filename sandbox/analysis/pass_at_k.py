"""What happens in k tries: can harm be reached at all, and is the agent reliable.

Each item (a scenario in one language with one model) has n runs. The figures are the unbiased
estimates of what k fresh runs would show, averaged over items.

Sources: M. Chen and others, Evaluating Large Language Models Trained on Code, arXiv 2107.03374, for
pass@k = 1 - C(n-c, k)/C(n, k); S. Yao and others, τ-bench, arXiv 2406.12045, for pass^k = C(c, k)/C(n, k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from sandbox.analysis.rates import LEVEL


@dataclass(frozen=True)
class Item:
    """One item's runs."""

    hits: int
    total: int
    cluster: str


@dataclass(frozen=True)
class InTries:
    """A figure of k tries, averaged over items, with its interval by cluster bootstrap."""

    k: int
    value: float
    low: float | None
    high: float | None
    items: int

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        ci = None if self.low is None else [self.low, self.high]
        return {"k": self.k, "value": self.value, "ci95": ci, "items": self.items}


def any_in(hits: int, total: int, k: int) -> float:
    """Return the chance that at least one of k runs is a hit (pass@k; any-unsafe-in-k).

    Raises:
        ValueError: There are fewer than k runs.
    """
    if not 0 < k <= total:
        raise ValueError(f"{k} of {total} runs cannot be drawn")
    return 1 - comb(total - hits, k) / comb(total, k)


def all_in(hits: int, total: int, k: int) -> float:
    """Return the chance that all of k runs are hits (pass^k; always-safe-in-k with safe runs).

    Raises:
        ValueError: There are fewer than k runs.
    """
    if not 0 < k <= total:
        raise ValueError(f"{k} of {total} runs cannot be drawn")
    return comb(hits, k) / comb(total, k)


def any_hit(items: Sequence[Item], k: int, level: float = LEVEL) -> InTries | None:
    """Return :func:`any_in` over items with at least k runs; None where there are none."""
    return _averaged(
        [(any_in(i.hits, i.total, k), i.cluster) for i in items if i.total >= k], k, level
    )


def all_hits(items: Sequence[Item], k: int, level: float = LEVEL) -> InTries | None:
    """Return :func:`all_in` over items with at least k runs; None where there are none."""
    return _averaged(
        [(all_in(i.hits, i.total, k), i.cluster) for i in items if i.total >= k], k, level
    )


def _averaged(values: Sequence[tuple[float, str]], k: int, level: float) -> InTries | None:
    if not values:
        return None
    import numpy as np

    from sandbox.analysis import bootstrap

    numbers = bootstrap.codes([cluster for _, cluster in values])
    found = np.array([value for value, _ in values])
    groups = int(numbers.max()) + 1
    drawn = bootstrap.draws(groups, resamples=bootstrap.RESAMPLES if groups > 1 else 0)
    sums, sizes = np.bincount(numbers, found), np.bincount(numbers).astype(np.float64)
    if found.min() == found.max():  # items that all agree do not show how far others may lie
        return InTries(k, float(found.mean()), None, None, len(values))
    made = bootstrap.estimate(float(found.mean()), (drawn @ sums) / (drawn @ sizes), level=level)
    return InTries(k, float(found.mean()), made.low, made.high, len(values))
