"""Differences between two sets of outcomes, and correction for many comparisons."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sandbox.analysis.rates import LEVEL, wilson

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Paired:
    """Second minus first on the same items."""

    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    count: int


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return the exact p-value of the hypothesis that two outcomes of the same items agree on average.

    Source: Q. McNemar, Psychometrika 12 (1947), 153-157; exact form: the items on which they differ
    are a fair coin's throws.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    cells = [[0, 0], [0, 0]]
    for one, other in zip(first, second, strict=True):
        cells[int(one)][int(other)] += 1
    return float(test(cells, exact=True).pvalue)


def paired(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    level: float = LEVEL,
    resamples: int = 2000,
    seed: int = 0,
) -> Paired:
    """Return the mean difference of two outcomes of the same items, by cluster bootstrap.

    What makes an item hard for both is taken out (arXiv 2411.00640, section 4.2). With one cluster
    there is no interval, and p is 1.

    Args:
        first: Of each item.
        second: Of the same items.
        clusters: What each item resembles others by.
        level: Of the interval.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ValueError: There are no items.
    """
    import numpy as np

    from sandbox.analysis import bootstrap

    if not first:
        raise ValueError("there are no items to compare")
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    moved = after - before
    numbers = bootstrap.codes(list(clusters))
    groups = int(numbers.max()) + 1
    sums, sizes = np.bincount(numbers, moved), np.bincount(numbers).astype(np.float64)
    drawn = bootstrap.draws(groups, resamples=resamples if groups > 1 else 0, seed=seed)
    again = (drawn @ sums) / (drawn @ sizes)
    found = bootstrap.estimate(float(moved.mean()), again, level=level)
    p = bootstrap.two_sided(again)
    return Paired(
        float(before.mean()),
        float(after.mean()),
        float(moved.mean()),
        found.low,
        found.high,
        p,
        len(moved),
    )


def newcombe(
    first: tuple[float, float], second: tuple[float, float], level: float = LEVEL
) -> tuple[float, float]:
    """Return the interval of the difference of two independent rates, second minus first.

    Each rate is a pair of count and total, which may be fractions.

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions,
    Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    if not (first[1] and second[1]):
        return -1.0, 1.0
    p, q = first[0] / first[1], second[0] / second[1]
    (p_low, p_high), (q_low, q_high) = wilson(*first, level), wilson(*second, level)
    below = ((q - q_low) ** 2 + (p_high - p) ** 2) ** 0.5
    above = ((q_high - q) ** 2 + (p - p_low) ** 2) ** 0.5
    return max(-1.0, q - p - below), min(1.0, q - p + above)


def holm(p: Mapping[Name, float], weights: Mapping[Name, float] | None = None) -> dict[Name, float]:
    """Return p-values adjusted so that the chance of any false alarm among them is held.

    Any dependence between the hypotheses is allowed. A hypothesis with more weight needs less
    evidence than the others.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6 (1979), 65-70, section 4 for weights.
    """
    given = {name: 1.0 if weights is None else weights[name] for name in p}
    left = sum(given.values())
    adjusted: dict[Name, float] = {}
    worst = 0.0
    for name in sorted(p, key=lambda item: p[item] / given[item]):
        worst = max(worst, min(1.0, p[name] * left / given[name]))
        adjusted[name] = worst
        left -= given[name]
    return {name: adjusted[name] for name in p}
