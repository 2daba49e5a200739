"""How far people agree on labels, beyond chance: raw, Cohen, Fleiss, Krippendorff, with intervals.

Runs of one scenario resemble each other, so intervals come from a bootstrap that draws whole
scenarios again (:mod:`sandbox.analysis.bootstrap`). All measures are nominal: no distance between
categories is assumed. A measure that is not defined (nobody labelled a run that another did, or only
one category is used, so that nothing is left beyond chance) is None, not 0 or 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sandbox.analysis.bootstrap import RESAMPLES, Estimate, codes, draws, estimate

Counts = NDArray[np.int64]
"""Units × categories → how many raters chose it."""
Table = NDArray[np.int64]
"""First rater's category × second rater's → number of units."""


@dataclass(frozen=True)
class Unit:
    """One run as several raters labelled it."""

    run: str
    cluster: str
    """The scenario: what is drawn again as a whole."""
    ratings: Mapping[str, str]
    """Rater → value."""


@dataclass(frozen=True)
class Pair:
    """How far two raters agree on the units that both labelled."""

    raters: tuple[str, str]
    units: int
    raw: Estimate
    cohen: Estimate

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "raters": list(self.raters),
            "units": self.units,
            "raw": self.raw.as_data(),
            "cohen": self.cohen.as_data(),
        }


@dataclass(frozen=True)
class Agreement:
    """How far all raters agree."""

    units: int
    """Those that at least two labelled."""
    clusters: int
    raters: tuple[str, ...]
    raw: Estimate
    fleiss: Estimate
    fleiss_units: int
    """Units with the number of ratings that most have: Fleiss' κ needs the same for all."""
    krippendorff: Estimate
    pairs: tuple[Pair, ...]

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "units": self.units,
            "clusters": self.clusters,
            "raters": list(self.raters),
            "raw": self.raw.as_data(),
            "fleiss": {**self.fleiss.as_data(), "units": self.fleiss_units},
            "krippendorff": self.krippendorff.as_data(),
            "pairs": [pair.as_data() for pair in self.pairs],
        }


def agreement(units: Sequence[Unit], *, resamples: int = RESAMPLES, seed: int = 0) -> Agreement:
    """Return how far raters agree.

    Args:
        units: Runs with their labels; those with fewer than two say nothing.
        resamples: How often scenarios are drawn again.
        seed: Of the draws.
    """
    told = [unit for unit in units if len(unit.ratings) > 1]
    raters = tuple(sorted({rater for unit in told for rater in unit.ratings}))
    table = counts(told)
    even = _even(table)
    clusters = [unit.cluster for unit in told]

    def over(measure: Callable[[Counts], float], rows: Sequence[int]) -> Estimate:
        chosen = table[list(rows)]
        return _resampled(measure, chosen, [clusters[i] for i in rows], resamples, seed)

    everything = range(len(told))
    return Agreement(
        len(told),
        len(set(clusters)),
        raters,
        over(raw, everything),
        over(fleiss, even),
        len(even),
        over(krippendorff, everything),
        tuple(pair(told, a, b, resamples=resamples, seed=seed) for a, b in combinations(raters, 2)),
    )


def pair(
    units: Sequence[Unit], one: str, other: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> Pair:
    """Return how far two raters agree on what both labelled."""
    both = [unit for unit in units if one in unit.ratings and other in unit.ratings]
    values = sorted({unit.ratings[who] for unit in both for who in (one, other)})
    place = {value: index for index, value in enumerate(values)}
    cells = np.array(
        [(place[u.ratings[one]], place[u.ratings[other]]) for u in both], np.intp
    ).reshape(len(both), 2)
    clusters = [unit.cluster for unit in both]
    size = len(values)

    def crossed(rows: NDArray[np.int64]) -> Table:
        table = np.zeros((size, size), np.int64)
        np.add.at(table, (rows[:, 0], rows[:, 1]), 1)
        return table

    def same(rows: NDArray[np.int64]) -> float:
        return float(np.mean(rows[:, 0] == rows[:, 1])) if len(rows) else float("nan")

    def kappa(rows: NDArray[np.int64]) -> float:
        return cohen(crossed(rows))

    return Pair(
        (one, other),
        len(both),
        _resampled(same, cells, clusters, resamples, seed),
        _resampled(kappa, cells, clusters, resamples, seed),
    )


def counts(units: Sequence[Unit]) -> Counts:
    """Return how many raters put each unit into each category, categories in order of name."""
    values = sorted({value for unit in units for value in unit.ratings.values()})
    told = [Counter(unit.ratings.values()) for unit in units]
    return np.array([[c[value] for value in values] for c in told], np.int64).reshape(
        len(units), len(values)
    )


def raw(table: Counts) -> float:
    """Return the share of pairs of raters that agree, over units; NaN where there is no pair.

    The mean of P_i of J. L. Fleiss, Measuring nominal scale agreement among many raters,
    Psychological Bulletin 76 (1971), 378-382, equation 2.
    """
    ratings = table.sum(axis=1)
    paired = ratings > 1
    if not paired.any():
        return float("nan")
    agreeing = (table * (table - 1)).sum(axis=1)[paired]
    return float(np.mean(agreeing / (ratings * (ratings - 1))[paired]))


def cohen(table: Table) -> float:
    """Return Cohen's κ of two raters; NaN where chance alone would make them agree.

    J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960), 37-46, as statsmodels computes it.
    """
    total = table.sum()
    if not total or (table.sum(axis=0) * table.sum(axis=1)).sum() == total**2:
        return float("nan")
    from statsmodels.stats.inter_rater import cohens_kappa

    return float(cohens_kappa(table, return_results=False))


def fleiss(table: Counts) -> float:
    """Return Fleiss' κ; NaN where only one category is used.

    J. L. Fleiss (1971), see :func:`raw`, as statsmodels computes it. All units have the same number
    of ratings.
    """
    if not table.size or np.count_nonzero(table.sum(axis=0)) < 2:
        return float("nan")
    from statsmodels.stats.inter_rater import fleiss_kappa

    return float(fleiss_kappa(table, method="fleiss"))


def krippendorff(table: Counts) -> float:
    """Return Krippendorff's α for nominal data; units may have different numbers of ratings.

    1 − D_o / D_e over the coincidences of values that can be paired: K. Krippendorff, Computing
    Krippendorff's Alpha-Reliability (2011), section C. NaN where nothing can be paired or only one
    category is used.
    """
    ratings = table.sum(axis=1)
    paired = table[ratings > 1]
    if not len(paired):
        return float("nan")
    sizes = paired.sum(axis=1)
    total = sizes.sum()
    differing = (sizes**2 - (paired**2).sum(axis=1)) / (sizes - 1)
    of_category = paired.sum(axis=0)
    expected = float(total**2 - (of_category**2).sum()) / (total - 1)
    return float("nan") if expected == 0 else 1 - float(differing.sum()) / expected


def _even(table: Counts) -> list[int]:
    """Return the rows that have as many ratings as most rows have; of equals, the more ratings."""
    ratings = table.sum(axis=1).tolist()
    if not ratings:
        return []
    most = max(Counter(ratings).items(), key=lambda item: (item[1], item[0]))[0]
    return [index for index, number in enumerate(ratings) if number == most]


def _resampled(
    measure: Callable[[NDArray[np.int64]], float],
    rows: NDArray[np.int64],
    clusters: Sequence[str],
    resamples: int,
    seed: int,
) -> Estimate:
    """Return a measure of rows, with the interval that drawing whole clusters again gives."""
    value = measure(rows)
    numbers = codes(clusters)
    count = int(numbers.max()) + 1 if len(numbers) else 0
    if np.isnan(value) or count < 2:  # one scenario does not tell how scenarios differ
        return Estimate(None if np.isnan(value) else float(value))
    times = draws(count, resamples=resamples, seed=seed)
    found = [measure(np.repeat(rows, drawn[numbers], axis=0)) for drawn in times]
    return estimate(value, np.array(found, np.float64))
