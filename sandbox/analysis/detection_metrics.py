"""How well scores tell runs apart: ROC, AUROC, TPR at a fixed FPR, average precision.

A run is called positive where its score is at least a threshold. All runs with one score are called
alike: there is no threshold between them.

- **AUROC**: the chance that a positive run scores higher than a negative one, ties counted half
  (J. A. Hanley and B. J. McNeil, Radiology 143 (1982), 29-36).
- **TPR at FPR x**: the largest TPR of all thresholds whose FPR is at most x. Nothing is interpolated,
  so with ties, or fewer than 1/x negatives, the FPR that is really had is smaller than x, down to 0.
- **Average precision**: precision at each threshold, weighted by the recall that it adds (M. Everingham
  and others, IJCV 88 (2010); as ``sklearn.metrics.average_precision_score``).

Intervals are percentile intervals of a cluster bootstrap that chooses the threshold anew in each
resample; where every resample gives 0, or every one 1, Wilson's interval over the clusters stands in
its place. A score of NaN means *unscored*: such a run is counted, and left out of the figures.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sandbox.analysis import bootstrap
from sandbox.analysis.bootstrap import RESAMPLES, Estimate

FPRS = (0.01, 0.05)
"""False-positive rates at which the TPR is told."""
_AT_ONCE = 2_000_000  # numbers of one intermediate array
_SLACK = 1e-9  # 0.05 × 20 is not exactly 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RocPoint:
    """What calling runs positive from one threshold on gives."""

    fpr: float
    tpr: float
    precision: float
    threshold: float


@dataclass(frozen=True)
class Detection:
    """The figures of one score over labelled runs."""

    positives: int
    negatives: int
    unscored: int
    clusters: int
    auroc: Estimate
    tpr: Mapping[float, Estimate]
    """FPR → TPR."""
    thresholds: Mapping[float, float]
    """FPR → the threshold at which that TPR is had; infinity where nothing may be called positive."""
    average_precision: Estimate
    roc: tuple[RocPoint, ...]
    """From the strictest threshold to the loosest, beginning at (0, 0)."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data, without the points of the curve."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "unscored": self.unscored,
            "clusters": self.clusters,
            "auroc": self.auroc.value,
            "auroc_ci": self.auroc.pair,
            "tpr_at_fpr": {f"{fpr:g}": item.value for fpr, item in self.tpr.items()},
            "tpr_ci": {f"{fpr:g}": item.pair for fpr, item in self.tpr.items()},
            "thresholds": {
                f"{fpr:g}": value if np.isfinite(value) else None
                for fpr, value in self.thresholds.items()
            },
            "average_precision": self.average_precision.value,
            "average_precision_ci": self.average_precision.pair,
        }


@dataclass(frozen=True)
class Difference:
    """Second minus first on the same runs, and how likely such a difference is by chance."""

    what: str
    """``auroc``, ``average_precision``, or ``tpr@`` and the FPR."""
    first: float | None
    second: float | None
    difference: Estimate
    p: float

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "what": self.what,
            "before": self.first,
            "after": self.second,
            "difference": self.difference.value,
            "ci": self.difference.pair,
            "p": self.p,
        }


@dataclass(frozen=True)
class Comparison:
    """Two scores compared on the runs that both of them scored."""

    positives: int
    negatives: int
    left_out: int
    """Runs that one of them, or both, did not score."""
    clusters: int
    differences: tuple[Difference, ...]


def measure(
    scores: ArrayLike,
    labels: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    fprs: Sequence[float] = FPRS,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Detection:
    """Return the figures of one score.

    Args:
        scores: One for each run, higher for more suspect; NaN where there is none.
        labels: Whether each run is positive.
        clusters: What each run resembles others by: its user task, or its scenario.
        fprs: False-positive rates at which the TPR is wanted.
        resamples: Of the bootstrap; 0 for no intervals.
        level: Of the intervals.
        seed: Of the bootstrap.
    """
    given = _Runs.of(np.asarray(scores, np.float64)[None, :], labels, clusters)
    curve = _Curve(given, 0)
    exact = curve.figures(np.ones((1, given.count), np.int32), fprs)[:, 0]
    again = curve.figures(given.draws(resamples, seed), fprs)
    made = [
        bootstrap.estimate(value, row, level=level) for value, row in zip(exact, again, strict=True)
    ]
    held = given.clusters_of(positive=True), given.clusters_of(positive=False)
    of = [min(held), *[held[0]] * (1 + len(fprs))]
    made = [bootstrap.careful(item, number) for item, number in zip(made, of, strict=True)]
    points = curve.points()
    return Detection(
        positives=curve.positives,
        negatives=curve.negatives,
        unscored=given.unscored,
        clusters=given.count,
        auroc=made[0],
        tpr=dict(zip(fprs, made[2:], strict=True)),
        thresholds={fpr: _threshold(points, fpr) for fpr in fprs},
        average_precision=made[1],
        roc=points,
    )


def compare(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    fprs: Sequence[float] = FPRS,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Return how two scores differ on the runs that both scored.

    Both are resampled together, so what makes a run hard for both does not blur the difference.
    Arguments as :func:`measure`.
    """
    pair = np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])
    given = _Runs.of(pair, labels, clusters)
    curves = [_Curve(given, 0), _Curve(given, 1)]
    once = np.ones((1, given.count), np.int32)
    drawn = given.draws(resamples, seed)
    exact = [curve.figures(once, fprs)[:, 0] for curve in curves]
    again = [curve.figures(drawn, fprs) for curve in curves]
    names = ["auroc", "average_precision", *(f"tpr@{fpr:g}" for fpr in fprs)]
    found = []
    for row, what in enumerate(names):
        before, after = exact[0][row], exact[1][row]
        moved = again[1][row] - again[0][row]
        found.append(
            Difference(
                what=what,
                first=None if np.isnan(before) else float(before),
                second=None if np.isnan(after) else float(after),
                difference=bootstrap.estimate(after - before, moved, level=level),
                p=bootstrap.two_sided(moved),
            )
        )
    return Comparison(
        curves[0].positives, curves[0].negatives, given.unscored, given.count, tuple(found)
    )


def threshold_for(negatives: ArrayLike, fpr: float) -> float:
    """Return the least threshold at which at most this share of negative runs is called positive.

    Args:
        negatives: Scores of negative runs only; NaN is left out.
        fpr: The share, 0 to 1.
    """
    found = np.asarray(negatives, np.float64)
    ordered = np.sort(found[~np.isnan(found)])[::-1]
    allowed = int(np.floor(fpr * len(ordered) + _SLACK))
    if allowed >= len(ordered):
        return float("-inf")
    return float(np.nextafter(ordered[allowed], np.inf))


@dataclass(frozen=True)
class _Runs:
    """Runs that all of the given scores scored."""

    scores: Floats
    positive: NDArray[np.bool_]
    cluster: NDArray[np.intp]
    count: int
    unscored: int

    @classmethod
    def of(cls, scores: Floats, labels: ArrayLike, clusters: Sequence[Hashable]) -> _Runs:
        positive = np.asarray(labels, np.bool_)
        if not scores.shape[1] == len(positive) == len(clusters):
            raise ValueError(
                f"{scores.shape[1]} scores, {len(positive)} labels and {len(clusters)} clusters"
            )
        scored: NDArray[np.bool_] = np.logical_not(np.any(np.isnan(scores), axis=0))
        numbers = bootstrap.codes([c for c, kept in zip(clusters, scored, strict=True) if kept])
        return cls(
            scores[:, scored],
            positive[scored],
            numbers,
            int(numbers.max() + 1) if len(numbers) else 0,
            int(len(scored) - scored.sum()),
        )

    def clusters_of(self, *, positive: bool) -> int:
        """Return how many clusters hold runs of one label."""
        return len(np.unique(self.cluster[self.positive == positive]))

    def draws(self, resamples: int, seed: int) -> NDArray[np.int32]:
        # Drawing from one cluster gives the same runs each time: an interval of width 0, a lie.
        wanted = resamples if self.count > 1 else 0
        return bootstrap.draws(self.count, resamples=wanted, seed=seed)


class _Curve:
    """One score's runs in the order of falling scores, ready to be weighted."""

    def __init__(self, runs: _Runs, row: int) -> None:
        scores, positive = runs.scores[row], runs.positive
        order = np.argsort(-scores, kind="stable")
        ordered, marks = scores[order], positive[order]
        self.levels = np.unique(scores)[::-1]
        self.positives, self.negatives = int(positive.sum()), int((~positive).sum())
        self._of_positives = runs.cluster[order][marks]
        self._of_negatives = runs.cluster[order][~marks]
        # How many positives, and negatives, score at least each level.
        self._positives_to = np.searchsorted(-ordered[marks], -self.levels, side="right")
        self._negatives_to = np.searchsorted(-ordered[~marks], -self.levels, side="right")

    def figures(self, weights: NDArray[np.int32], fprs: Sequence[float]) -> Floats:
        """Return AUROC, average precision and the TPR at each FPR: (figures, resamples)."""
        result = np.full((2 + len(fprs), len(weights)), np.nan)
        step = max(1, _AT_ONCE // max(1, self.positives + self.negatives))
        for start in range(0, len(weights), step):
            part = slice(start, start + step)
            result[:, part] = self._figures(weights[part], fprs)
        return result

    def _figures(self, weights: NDArray[np.int32], fprs: Sequence[float]) -> Floats:
        hits = _running(weights[:, self._of_positives], self._positives_to)
        alarms = _running(weights[:, self._of_negatives], self._negatives_to)
        all_hits, all_alarms = hits[:, -1:], alarms[:, -1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            tpr, fpr = hits / all_hits, alarms / all_alarms
            auroc = (np.diff(fpr) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2
            precision = hits[:, 1:] / (hits[:, 1:] + alarms[:, 1:])
            # A level at which a resample has no run adds no recall, and has no precision.
            average = np.nansum(np.diff(tpr) * precision, axis=1)
        average[all_hits[:, 0] == 0] = np.nan
        rows = [auroc, average]
        for limit in fprs:
            last = (alarms <= limit * all_alarms + _SLACK).sum(axis=1) - 1
            rows.append(tpr[np.arange(len(tpr)), last])
        result = np.stack(rows)
        result[:, all_alarms[:, 0] == 0] = np.nan
        return result

    def points(self) -> tuple[RocPoint, ...]:
        if not (self.positives and self.negatives):
            return ()
        made = [RocPoint(0.0, 0.0, 1.0, float("inf"))]
        found = zip(self._positives_to, self._negatives_to, self.levels, strict=True)
        for hits, alarms, threshold in found:
            made.append(
                RocPoint(
                    float(alarms / self.negatives),
                    float(hits / self.positives),
                    float(hits / (hits + alarms)),
                    float(threshold),
                )
            )
        return tuple(made)


def _running(weights: NDArray[np.int32], to: NDArray[np.intp]) -> Floats:
    """Return the weight of the first ``to[i]`` items, with 0 before: (resamples, levels + 1)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums[:, np.concatenate([[0], to])]


def _threshold(points: Sequence[RocPoint], fpr: float) -> float:
    kept = [point for point in points if point.fpr <= fpr + _SLACK]
    best = max(kept, key=lambda point: point.tpr, default=None)
    return float("inf") if best is None else best.threshold
