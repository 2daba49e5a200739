"""Two rates compared stratum by stratum: exact test and interval.

A stratum is what was the same on both sides: scenario, variant and language. Comparing only within
strata keeps a change of the mix of scenarios from looking like a change of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.analysis.paired import newcombe
from sandbox.analysis.rates import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stratum:
    """Counts of one scenario on both sides."""

    hits_before: int
    before: int
    hits_after: int
    after: int


@dataclass(frozen=True)
class Change:
    """A rate before and after, after minus before."""

    before: float
    after: float
    low: float
    high: float
    p: float
    """Of the hypothesis that nothing changed; two-sided mid-p."""
    exact: float
    """The same without the correction for discreteness: never flags more often than its level."""
    least: float
    """The smallest p that these numbers of runs and hits could have given."""
    runs_before: int
    runs_after: int

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


def change(strata: Sequence[Stratum], level: float = LEVEL) -> Change | None:
    """Return how a rate changed; None where no stratum has runs on both sides.

    The p-value is that of the exact conditional test of a common odds ratio of 1 (C. R. Mehta,
    N. R. Patel and R. Gray, JASA 80 (1985), 969-973; ``mantelhaen.test(exact = TRUE)`` in R). With one
    stratum it is Fisher's exact test. Counts are few and discrete, so that it flags far less often than
    its level allows; the mid-p counts what is as likely as what was seen by half, which brings it near
    the level, from below but for small excesses (H. O. Lancaster, JASA 56 (1961), 223-234; K. F. Hirji,
    Exact Analysis of Discrete Data (2006), 7.6). The rates weigh strata as Mantel and Haenszel do; the interval is Newcombe's at the
    effective numbers of runs, which leaves out that strata take up some of the variance and so is
    somewhat too wide rather than too narrow.
    """
    both = [item for item in strata if item.before and item.after]
    if not both:
        return None
    weights = [item.before * item.after / (item.before + item.after) for item in both]
    whole = sum(weights)
    shares = [weight / whole for weight in weights]
    before = sum(s * i.hits_before / i.before for s, i in zip(shares, both, strict=True))
    after = sum(s * i.hits_after / i.after for s, i in zip(shares, both, strict=True))
    n_before = 1 / sum(s * s / i.before for s, i in zip(shares, both, strict=True))
    n_after = 1 / sum(s * s / i.after for s, i in zip(shares, both, strict=True))
    low, high = newcombe((before * n_before, n_before), (after * n_after, n_after), level)
    mid, exact, least = _exact(both)
    runs = sum(i.before for i in both), sum(i.after for i in both)
    return Change(before, after, low, high, mid, exact, least, *runs)


def _exact(strata: Sequence[Stratum]) -> tuple[float, float, float]:
    import numpy as np

    chances = np.ones(1)
    observed = 0
    for item in strata:
        total, hits = item.before + item.after, item.hits_before + item.hits_after
        least = max(0, hits - item.before)
        chances = np.convolve(chances, _hypergeometric(total, hits, item.after))
        observed += item.hits_after - least
    chances /= chances.sum()
    exact, alike = _tail(chances, chances[observed])
    rarest, as_rare = _tail(chances, chances.min())
    return max(0.0, min(1.0, exact - alike / 2)), min(1.0, exact), rarest - as_rare / 2


def _tail(chances: NDArray[np.float64], chance: float) -> tuple[float, float]:
    """Return the chance of what is at most as likely, and of that what is just as likely."""
    # Just as likely but for rounding: R's tolerance.
    near = 1e-7
    within = chances <= chance * (1 + near)
    return float(chances[within].sum()), float(
        chances[within & (chances >= chance * (1 - near))].sum()
    )


@lru_cache(maxsize=4096)
def _hypergeometric(total: int, hits: int, drawn: int) -> NDArray[np.float64]:
    """Return the chances of each number of hits among those drawn, from the least possible on."""
    import numpy as np
    from scipy.stats import hypergeom

    least, most = max(0, hits + drawn - total), min(hits, drawn)
    return np.asarray(hypergeom.pmf(np.arange(least, most + 1), total, hits, drawn), np.float64)
