"""Cluster bootstrap: whole clusters are drawn again, with all their runs.

Runs of one user task, scenario or family resemble each other. Drawing runs one by one would take
them for independent and give intervals that are too narrow.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 8.3;
C. A. Field and A. H. Welsh, Bootstrapping clustered data, JRSS B 69 (2007), 369-390.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.analysis.rates import wilson

RESAMPLES = 1000
"""How often clusters are drawn by default."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; None where it is not defined, or too few clusters tell."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_data(self) -> dict[str, float | list[float] | None]:
        """Return it as JSON data."""
        return {"value": self.value, "ci95": self.pair}

    @property
    def pair(self) -> list[float] | None:
        """Lower and upper end, or None."""
        return None if self.low is None or self.high is None else [self.low, self.high]


def codes(clusters: Sequence[Hashable] | NDArray[Any]) -> NDArray[np.intp]:
    """Return the number of each item's cluster, from 0 in the order of first appearance."""
    seen: dict[Any, int] = {}
    return np.fromiter((seen.setdefault(c, len(seen)) for c in clusters), np.intp, len(clusters))


def draws(clusters: int, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int32]:
    """Return how often each cluster is drawn in each resample: (resamples, clusters)."""
    if not clusters:
        return np.zeros((resamples, 0), np.int32)
    generator = np.random.default_rng(seed)
    shares = np.full(clusters, 1 / clusters)
    return generator.multinomial(clusters, shares, size=resamples).astype(np.int32)


def estimate(value: float, resampled: NDArray[np.float64], *, level: float = 0.95) -> Estimate:
    """Return a figure with the percentile interval of its resamples.

    Resamples in which the figure is not defined (NaN: no positive was drawn, say) do not count. There
    is no interval where more than half of them are so, or where there are none.
    """
    if np.isnan(value):
        return Estimate(None)
    defined = resampled[~np.isnan(resampled)]
    if not len(defined) or 2 * len(defined) < len(resampled):
        return Estimate(float(value))
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def careful(found: Estimate, clusters: int) -> Estimate:
    """Return a figure with an interval that is not empty where all resamples were 0, or all were 1.

    Resampling cannot show how far such a figure may lie from the truth: no cluster that would tell was
    drawn, because none was there. Wilson's interval, each cluster taken for one observation, is the
    careful reading.

    Args:
        found: The figure with the interval of its resamples.
        clusters: How many clusters hold runs of the kind that the figure is a share of.
    """
    if found.value not in (0.0, 1.0) or found.low is None or found.low != found.high:
        return found
    low, high = wilson(found.value * clusters, clusters)
    return Estimate(found.value, low, high)


def two_sided(differences: NDArray[np.float64]) -> float:
    """Return the p-value of the hypothesis that a resampled difference is 0.

    Twice the smaller share of resamples on one side of 0, ties counted for both, each share with one
    resample added, so that it is never 0 (A. C. Davison and D. V. Hinkley, Bootstrap Methods and
    their Application (1997), 4.4).
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return 1.0
    below, above = np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0)
    return min(1.0, 2 * (min(below, above) + 1) / (len(defined) + 1))
