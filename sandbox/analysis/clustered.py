"""Means and rates over runs that resemble each other: clustered standard errors.

The runs of one scenario, its translations, or the scenarios of one family do not vary independently.
A rate that is to hold for *other* scenarios of the kind needs the spread between clusters.

Source: E. Miller, Adding Error Bars to Evals: A Statistical Approach to Language Model Evaluations,
arXiv 2411.00640 (2024), section 2.2, with the correction G/(G - 1) for few clusters of A. C. Cameron
and D. L. Miller, A Practitioner's Guide to Cluster-Robust Inference, JHR 50 (2015), 317-372.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

from sandbox.analysis.rates import LEVEL, wilson


@dataclass(frozen=True)
class Clustered:
    """A mean with its clustered standard error."""

    mean: float
    error: float | None
    """Standard error; None with fewer than two clusters."""
    clusters: int
    count: int
    low: float | None
    high: float | None

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        known = self.low is not None and self.high is not None
        return {
            "mean": self.mean,
            "se": self.error,
            "clusters": self.clusters,
            "ci95": [self.low, self.high] if known else None,
        }


def mean(values: Sequence[float], clusters: Sequence[Hashable], level: float = LEVEL) -> Clustered:
    """Return a mean with Student's interval over G - 1 degrees of freedom, G clusters.

    Args:
        values: One for each run.
        clusters: What each run belongs to.
        level: Of the interval.

    Raises:
        ValueError: There are no runs.
    """
    centre, error, groups = _error(values, clusters)
    if error is None:
        return Clustered(centre, None, groups, len(values), None, None)
    half = _student(level, groups) * error
    return Clustered(centre, error, groups, len(values), centre - half, centre + half)


def rate(hits: Sequence[bool], clusters: Sequence[Hashable], level: float = LEVEL) -> Clustered:
    """Return a rate with a Wilson interval over the effective number of runs.

    The effective number is n divided by the design effect (the clustered variance over that of
    independent runs), and corrected for few clusters by the ratio of normal and Student's quantiles,
    as E. L. Korn and B. I. Graubard do for Clopper-Pearson (Survey Methodology 24 (1998), 193-201).
    It is never taken to be more than n. Where all runs agree the spread between clusters cannot be
    seen; each cluster is then taken to tell as much as one run, which is the most careful reading.

    Raises:
        ValueError: There are no runs.
    """
    share, error, groups = _error([float(hit) for hit in hits], clusters)
    if error is None:
        return Clustered(share, None, groups, len(hits), None, None)
    if share in (0.0, 1.0):
        effective = float(groups)
    else:
        shrunk = (_normal(level) / _student(level, groups)) ** 2
        independent = share * (1 - share) / len(hits)
        design = max(error * error / independent, shrunk)
        effective = len(hits) / design * shrunk
    low, high = wilson(share * effective, effective, level)
    return Clustered(share, error, groups, len(hits), low, high)


def _error(
    values: Sequence[float], clusters: Sequence[Hashable]
) -> tuple[float, float | None, int]:
    if not values:
        raise ValueError("there are no runs to take a mean of")
    centre = sum(values) / len(values)
    sums: dict[Hashable, float] = defaultdict(float)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] += value - centre
    groups = len(sums)
    if groups < 2:
        return centre, None, groups
    spread = sum(item * item for item in sums.values()) * groups / (groups - 1)
    return centre, sqrt(spread) / len(values), groups


def _student(level: float, groups: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, groups - 1))


def _normal(level: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)
