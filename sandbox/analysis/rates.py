"""Rates of independent runs, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95


def wilson(count: float, total: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson score interval of a rate, 0 to 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927), 209-212. It holds its level on average over rates (L. D. Brown, T. T. Cai and
    A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16 (2001)).

    Args:
        count: How many; may be a fraction where ``total`` is an effective number.
        total: Of how many; of none nothing is known, and the interval is 0 to 1.
        level: Of the interval.
    """
    if not total:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = count / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    # Exactly so in theory, but for rounding.
    low = max(0.0, centre - half) if count else 0.0
    return low, min(1.0, centre + half) if count < total else 1.0


def clopper_pearson(count: int, total: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a rate, 0 to 1: it never covers less than its level.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413, by way of scipy.
    """
    if not total:
        return 0.0, 1.0
    from scipy.stats import binomtest

    found = binomtest(count, total).proportion_ci(level, method="exact")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Rate:
    """So many of so many."""

    count: int
    total: int

    @property
    def share(self) -> float:
        """The rate, 0 to 1; 0 of nothing is 0."""
        return self.count / self.total if self.total else 0.0

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the Wilson score interval, 0 to 1. Runs are taken as independent."""
        return wilson(self.count, self.total, level)

    def __str__(self) -> str:
        low, high = self.interval()
        if not self.total:
            return "none"
        return f"{self.count}/{self.total} ({100 * self.share:.0f} %, {100 * low:.0f}–{100 * high:.0f})"

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        low, high = self.interval()
        return {"count": self.count, "total": self.total, "rate": self.share, "ci95": [low, high]}
