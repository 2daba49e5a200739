"""How many runs a difference needs, and what difference a number of runs can show.

Source: J. L. Fleiss, B. Levin and M. C. Paik, Statistical Methods for Rates and Proportions, 3rd
edition (2003), equations 4.14 and 4.19: two independent rates, equal numbers, two-sided test by the
normal approximation. :func:`runs_needed` adds the continuity correction by default, because the test
that :mod:`sandbox.analysis.drift` makes is exact, and needs about that many more.
"""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


def runs_needed(
    before: float,
    after: float,
    *,
    power: float = 0.8,
    level: float = 0.05,
    comparisons: int = 1,
    exact: bool = True,
) -> int:
    """Return how many runs each side needs.

    Args:
        before: One rate.
        after: The other rate.
        power: The chance with which the difference is to be found.
        level: The chance of a false alarm.
        comparisons: How many comparisons share that chance (Bonferroni).
        exact: Whether an exact test will be made.

    Raises:
        ValueError: The rates are equal, or not between 0 and 1.
    """
    if before == after or not (0 <= before <= 1 and 0 <= after <= 1):
        raise ValueError(f"{before} and {after} are not two different rates between 0 and 1")
    number = _number(before, after, power, level / comparisons)
    if exact:
        gap = abs(after - before)
        number = number / 4 * (1 + sqrt(1 + 4 / (number * gap))) ** 2
    return ceil(number)


def power(before: float, after: float, runs: int, *, level: float = 0.05) -> float:
    """Return the chance that a difference is found with so many runs on each side."""
    pooled = (before + after) / 2
    null = _NORMAL.inv_cdf(1 - level / 2) * sqrt(2 * pooled * (1 - pooled))
    spread = sqrt(before * (1 - before) + after * (1 - after))
    if spread == 0:
        return 1.0 if before != after else level
    return _NORMAL.cdf((abs(after - before) * sqrt(runs) - null) / spread)


def least_difference(
    before: float, runs: int, *, power: float = 0.8, level: float = 0.05, exact: bool = True
) -> float | None:
    """Return the smallest rise of a rate that so many runs on each side would show, or None."""
    low, high = before, 1.0
    if before >= 1 or runs_needed(before, 1.0, power=power, level=level, exact=exact) > runs:
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        if runs_needed(before, middle, power=power, level=level, exact=exact) > runs:
            low = middle
        else:
            high = middle
    return high - before


def _number(before: float, after: float, power: float, level: float) -> float:
    pooled = (before + after) / 2
    null = _NORMAL.inv_cdf(1 - level / 2) * sqrt(2 * pooled * (1 - pooled))
    spread = _NORMAL.inv_cdf(power) * sqrt(before * (1 - before) + after * (1 - after))
    return ((null + spread) / (after - before)) ** 2
