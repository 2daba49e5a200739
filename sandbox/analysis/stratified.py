"""Two rates compared on the same scenarios, stratum by stratum or pair by pair: test and interval.

A stratum is what was the same on both sides: scenario, variant and language. Comparing only within
strata keeps a change of the mix of scenarios from looking like a change of the model. A pair is two runs of one
scenario with one seed, and so with one world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt
from typing import TYPE_CHECKING

from sandbox.analysis.paired import newcombe
from sandbox.analysis.rates import LEVEL, wilson

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
class RateChange:
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


def change(strata: Sequence[Stratum], level: float = LEVEL) -> RateChange | None:
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
    return RateChange(before, after, low, high, mid, exact, least, *runs)


def paired_change(pairs: Sequence[tuple[bool, bool]], level: float = LEVEL) -> RateChange | None:
    """Return how a rate changed over pairs of runs, first before, then after; None without pairs.

    The test is McNemar's, exact: of the pairs that differ, as many should have changed one way as the
    other; with mid-p beside it (M. W. Fagerland, S. Lydersen and P. Laake, BMC Medical Research
    Methodology 13 (2013), 91). Where what is paired does not depend on each other it tells as much as
    the unpaired test, where it does it tells more. The interval is Newcombe's (Statistics in Medicine
    17 (1998), 2635-2650, method 10).
    """
    if not pairs:
        return None
    count = len(pairs)
    both = sum(one and other for one, other in pairs)
    lost = sum(one and not other for one, other in pairs)
    gained = sum(other and not one for one, other in pairs)
    before, after = (both + lost) / count, (both + gained) / count
    low, high = _paired_interval(both, lost, gained, count, level)
    differ, fewer = lost + gained, min(lost, gained)
    tail = sum(comb(differ, k) for k in range(fewer + 1)) / 2**differ
    alike = comb(differ, fewer) / 2**differ
    exact = min(1.0, 2 * tail)
    # Of an even split all that is as likely is counted twice in the two tails.
    mid = 1.0 if lost == gained else float(2 * tail - alike)
    return RateChange(before, after, low, high, mid, exact, 0.5**differ, count, count)


def _paired_interval(
    both: int, lost: int, gained: int, count: int, level: float
) -> tuple[float, float]:
    neither = count - both - lost - gained
    before, after = (both + lost) / count, (both + gained) / count
    low_before, high_before = wilson(both + lost, count, level)
    low_after, high_after = wilson(both + gained, count, level)
    product = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    excess = float(both * neither - lost * gained)
    if excess > 0:
        excess = max(excess - count / 2, 0.0)
    alike = excess / sqrt(product) if product else 0.0
    difference = after - before

    def reach(own: float, other: float) -> float:
        return sqrt(max(0.0, own * own - 2 * alike * own * other + other * other))

    below = reach(after - low_after, high_before - before)
    above = reach(high_after - after, before - low_before)
    return max(-1.0, difference - below), min(1.0, difference + above)


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
