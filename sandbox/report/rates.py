"""Rates with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Rate:
    """So many of so many."""

    count: int
    total: int

    @property
    def share(self) -> float:
        """The rate, 0 to 1; 0 of nothing is 0."""
        return self.count / self.total if self.total else 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the Wilson score interval, 0 to 1.

        Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
        JASA 22 (1927), 209-212. Runs of one scenario are taken as independent.
        """
        if not self.total:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + level) / 2)
        n, p = self.total, self.share
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval()
        if not self.total:
            return "none"
        return f"{self.count}/{self.total} ({100 * self.share:.0f} %, {100 * low:.0f}–{100 * high:.0f})"

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        low, high = self.interval()
        return {"count": self.count, "total": self.total, "rate": self.share, "ci95": [low, high]}
