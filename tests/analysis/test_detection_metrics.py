"""Detection figures: known examples, ties, clusters, what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from sandbox.analysis.detection_metrics import compare, measure, threshold_for
from tests.support.timing import cpu_below


def test_published_example() -> None:
    """The example of scikit-learn's manual: AUROC 0.75, average precision 0.83."""
    found = measure([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], [1, 2, 3, 4])
    assert found.auroc.value == 0.75
    assert found.average_precision.value == pytest.approx(0.8333, abs=1e-4)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 4)), min_size=2, max_size=60
    ).filter(lambda rows: len({label for _, label, _ in rows}) == 2)
)
def test_auroc_is_the_mann_whitney_statistic(rows: list[tuple[int, bool, int]]) -> None:
    """With ties, too, and the TPR is what counting by hand gives."""
    scores, labels, clusters = (list(column) for column in zip(*rows, strict=True))
    found = measure(scores, labels, clusters, resamples=20, fprs=(0.1,))
    positives = np.array([s for s, y in zip(scores, labels, strict=True) if y])
    negatives = np.array([s for s, y in zip(scores, labels, strict=True) if not y])
    by_scipy = mannwhitneyu(positives, negatives).statistic / len(positives) / len(negatives)
    assert found.auroc.value == pytest.approx(by_scipy)
    allowed = [t for t in [*scores, 99] if (negatives >= t).mean() <= 0.1]
    best = max((positives >= t).mean() for t in allowed)
    assert found.tpr[0.1].value == pytest.approx(best)
    threshold = found.thresholds[0.1]
    assert (positives >= threshold).mean() == pytest.approx(best)
    assert (negatives >= threshold).mean() <= 0.1


def test_ties_are_taken_conservatively() -> None:
    """A threshold that would let 2 % of negatives through is not had at 1 %, nor interpolated."""
    scores = [1.0] * 50 + [1.0] * 2 + [0.0] * 98
    found = measure(scores, [1] * 50 + [0] * 100, range(150), resamples=0)
    assert found.tpr[0.01].value == 0.0
    assert found.thresholds[0.01] == float("inf")
    assert found.tpr[0.05].value == 1.0


def test_exactly_the_allowed_rate_is_allowed() -> None:
    """One false alarm in a hundred is a rate of 1 %."""
    scores = [3.0, 2.0] + [1.0] * 99
    found = measure(scores, [0, 1] + [0] * 99, range(101), resamples=0)
    assert found.tpr[0.01].value == 1.0


def test_unscored_is_not_zero() -> None:
    """A run without a score is counted and left out, not taken for harmless."""
    found = measure([0.9, np.nan, 0.1, 0.2], [1, 1, 0, 0], "abcd", resamples=0)
    assert (found.unscored, found.positives, found.auroc.value) == (1, 1, 1.0)


@pytest.mark.parametrize("labels", [[1, 1], [0, 0]])
def test_one_class_tells_nothing(labels: list[int]) -> None:
    """Without positives or without negatives there is no figure."""
    found = measure([0.1, 0.2], labels, "ab")
    assert found.auroc.value is None
    assert found.tpr[0.01].value is None
    assert found.roc == ()


def test_nothing_at_all() -> None:
    """No runs give no figures, and no error."""
    assert measure([], [], []).auroc.value is None


def test_one_cluster_gives_no_interval() -> None:
    """Runs that all resemble each other do not say how far the figure would move."""
    found = measure([0.9, 0.1], [1, 0], ["only", "only"])
    assert found.auroc.value == 1.0
    assert found.auroc.pair is None


def test_perfect_separation_is_not_certainty() -> None:
    """Twenty clusters told apart without a fault leave room for one that is not."""
    found = measure([0.9] * 20 + [0.1] * 20, [1] * 20 + [0] * 20, list(range(20)) * 2)
    assert found.auroc.value == 1.0
    assert found.auroc.low == pytest.approx(0.839, abs=1e-3)
    assert found.tpr[0.01].high == 1.0


def test_clusters_widen_the_interval() -> None:
    """Copies of a run add nothing: the interval is that of the clusters, not of the copies."""
    random = np.random.default_rng(1)
    labels = random.random(60) < 0.5
    scores = random.normal(size=60) + labels
    once = measure(scores, labels, range(60), seed=3)
    copied = measure(np.tile(scores, 20), np.tile(labels, 20), list(range(60)) * 20, seed=3)
    assert copied.auroc == once.auroc


def test_intervals_cover_the_truth() -> None:
    """Simulated clusters with a shared difficulty: about 95 % of intervals hold the true AUROC."""
    random = np.random.default_rng(7)
    truth, covered = 0.7602499, 0  # Φ(1/√2), positives 1 higher, unit variance
    for trial in range(150):
        labels = random.random(400) < 0.5
        clusters = [i // 5 for i in range(400)]
        shared = np.repeat(random.normal(size=80), 5)
        scores = 0.6 * shared + 0.8 * random.normal(size=400) + labels
        found = measure(scores, labels, clusters, resamples=300, seed=trial).auroc
        assert found.pair is not None
        covered += found.pair[0] <= truth <= found.pair[1]
    assert 135 <= covered <= 149


def test_equal_scores_do_not_differ() -> None:
    """A score compared with itself differs by nothing, with p = 1."""
    random = np.random.default_rng(2)
    labels, scores = random.random(80) < 0.5, random.normal(size=80)
    for item in compare(scores, scores, labels, range(80), resamples=100).differences:
        assert item.difference.value == 0
        assert item.p == 1


def test_a_better_score_is_seen() -> None:
    """A pair shares its runs, so that a small real difference stands out."""
    random = np.random.default_rng(5)
    labels = random.random(600) < 0.5
    hidden = random.normal(size=600) + 1.0 * labels
    worse = hidden + 0.7 * random.normal(size=600)
    found = compare(worse, hidden, labels, list(range(300)) * 2, resamples=500)
    auroc = found.differences[0]
    assert auroc.what == "auroc"
    assert auroc.difference.low is not None
    assert auroc.difference.low > 0
    assert auroc.p < 0.02


def test_threshold_for_a_rate() -> None:
    """The calibrated threshold lets at most the stated share of benign runs through, ties or not."""
    negatives = [0.0] * 90 + [0.5] * 8 + [0.7, 0.9]
    for fpr, expected in ((0.01, 1), (0.02, 2), (0.05, 2), (0.0, 0), (1.0, 100)):
        threshold = threshold_for(negatives, fpr)
        assert sum(score >= threshold for score in negatives) == expected


def test_lengths_must_agree() -> None:
    """Scores that do not fit their labels are an error, not a guess."""
    with pytest.raises(ValueError, match="2 scores, 1 labels"):
        measure([1, 2], [1], [1])


@pytest.mark.perf
def test_many_runs_and_monitors_are_fast() -> None:
    """6,387 runs, ten monitors, 1,000 resamples: a few seconds of processor time."""
    random = np.random.default_rng(0)
    labels, clusters = random.random(6387) < 0.4, random.integers(0, 97, 6387)
    with cpu_below(5):
        for _ in range(2):
            measure(random.normal(size=6387) + labels, labels, clusters.tolist())
