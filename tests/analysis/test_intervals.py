"""Clustered errors, differences, corrections, tries, power: published examples and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from sandbox.analysis import clustered, pass_at_k, power
from sandbox.analysis.paired import holm, mcnemar, newcombe, paired
from sandbox.analysis.pass_at_k import Item, any_hit
from sandbox.analysis.rates import clopper_pearson, wilson
from sandbox.analysis.stratified import Stratum, change, paired_change
from sandbox.analysis.trend import trend

SWEEPS = 1000


def test_zero_of_thirty_still_allows_eleven_percent() -> None:
    """The exact interval of 0 of 30 ends at 1 - 0.025^(1/30)."""
    assert clopper_pearson(0, 30) == pytest.approx((0, 1 - 0.025 ** (1 / 30)))
    assert wilson(0, 30)[1] == pytest.approx(0.1135, abs=1e-4)


def test_newcombe_published() -> None:
    """Table II of Newcombe (1998), method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    assert newcombe((48, 80), (56, 70)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_clustered_error_is_that_of_statsmodels() -> None:
    """The mean's clustered error is a regression on a constant with clustered covariance."""
    import statsmodels.api as sm

    random = np.random.default_rng(1)
    clusters = random.integers(0, 12, 200)
    values = random.normal(size=200) + clusters / 4
    fit = sm.OLS(values, np.ones(200)).fit(
        cov_type="cluster",
        cov_kwds={"groups": clusters, "use_correction": False},
    )
    found = clustered.mean(values.tolist(), clusters.tolist())
    assert found.error == pytest.approx(float(fit.bse[0]) * math.sqrt(12 / 11))


def test_one_cluster_has_no_error() -> None:
    """Runs of one family do not say how families differ."""
    found = clustered.rate([True, False], ["only", "only"])
    assert (found.mean, found.error, found.low) == (0.5, None, None)


def test_alike_copies_add_nothing() -> None:
    """A rate over clusters whose runs all agree has the interval of its clusters."""
    hits, clusters = [True] * 50 + [False] * 150, [i // 10 for i in range(200)]
    found = clustered.rate(hits, clusters)
    assert found.low is not None
    assert found.high is not None
    wide, narrow = found.high - found.low, wilson(50, 200)
    assert wide > 2.5 * (narrow[1] - narrow[0])


def test_exact_mcnemar() -> None:
    """16 against 6 discordant pairs: twice the tail of a fair coin, 0.0525."""
    first = [True] * 59 + [False] * 6 + [True] * 16 + [False] * 80
    second = [True] * 59 + [True] * 6 + [False] * 16 + [False] * 80
    assert mcnemar(first, second) == pytest.approx(0.05248, abs=1e-5)


def test_holm_published() -> None:
    """The usual worked example: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02."""
    given_ = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(given_) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_weights_of_holm() -> None:
    """Half of all weight is needed for p = 0.02 to stand; a fiftieth is too little."""
    assert holm({"a": 0.02, "b": 0.5}, {"a": 0.5, "b": 0.5})["a"] == pytest.approx(0.04)
    assert holm({"a": 0.02, "b": 0.5}, {"a": 0.02, "b": 0.98})["a"] > 0.5


def test_paired_differences_are_sharper() -> None:
    """Items of very different difficulty: the pair's interval is far narrower than their spread."""
    random = np.random.default_rng(3)
    hard = np.repeat(random.normal(size=60), 2)
    found = paired((hard + 0.0).tolist(), (hard + 0.2).tolist(), [i // 2 for i in range(120)])
    assert (found.low, found.high) == pytest.approx((0.2, 0.2))
    assert found.p < 0.01


def test_pairs_published() -> None:
    """16 pairs one way and 6 the other: exact p 0.0525, mid-p 0.0347 (twice the tail less the point)."""
    pairs = [(True, True)] * 59 + [(False, True)] * 6 + [(True, False)] * 16
    found = paired_change([*pairs, *[(False, False)] * 80])
    assert found is not None
    assert found.exact == pytest.approx(0.05248, abs=1e-5)
    assert found.p == pytest.approx(0.0347, abs=1e-4)


def test_paired_intervals_cover_the_truth() -> None:
    """Pairs that resemble each other: the interval of the difference covers and is narrower."""
    random = np.random.default_rng(9)
    covered, narrower, sweeps = 0, 0, 500
    for _ in range(sweeps):
        rates = np.repeat(random.beta(1, 1, size=30), 5)
        pairs = list(zip(random.random(150) < rates * 0.8, random.random(150) < rates, strict=True))
        found = paired_change([(bool(a), bool(b)) for a, b in pairs])
        assert found is not None
        covered += found.low <= float((rates * 0.2).mean()) <= found.high
        alone = newcombe((found.before * 150, 150), (found.after * 150, 150))
        narrower += found.high - found.low < alone[1] - alone[0]
    assert covered / sweeps >= 0.93
    assert narrower / sweeps > 0.9


def test_no_pairs_no_change() -> None:
    """Without pairs there is nothing to say, and pairs that agree say that nothing changed."""
    assert paired_change([]) is None
    found = paired_change([(True, True), (False, False)])
    assert found is not None
    assert (found.difference, found.p, found.exact) == (0, 1, 1)


@given(*(st.integers(0, 25) for _ in range(4)))
def test_one_stratum_is_fishers_test(a: int, b: int, c: int, d: int) -> None:
    """With one scenario the exact test is the one in every textbook."""
    if not (a + b and c + d):
        return
    found = change([Stratum(a, a + b, c, c + d)])
    assert found is not None
    assert found.exact == pytest.approx(fisher_exact(np.array([[a, b], [c, d]])).pvalue, rel=1e-6)
    assert found.least <= found.p + 1e-9 <= found.exact + 1e-8


def test_strata_published() -> None:
    """R's manual, ``?mantelhaen.test``: penicillin and rabbits, exact p = 0.03994 (two-sided)."""
    rabbits = [(0, 6, 0, 5), (3, 3, 0, 6), (6, 0, 2, 4), (5, 1, 6, 0), (2, 0, 5, 0)]
    found = change([Stratum(a, a + b, c, c + d) for a, b, c, d in rabbits])
    assert found is not None
    assert found.exact == pytest.approx(0.03994, abs=1e-5)


def test_a_changed_mix_of_scenarios_is_no_change() -> None:
    """More runs of a dangerous scenario in the second night do not make its model more dangerous."""
    found = change([Stratum(5, 100, 1, 20), Stratum(10, 20, 50, 100)])
    assert found is not None
    assert found.difference == pytest.approx(0)
    assert found.exact == pytest.approx(1)


def test_pass_at_k_published() -> None:
    """1 - C(n-c, k)/C(n, k), and its counterpart; any-unsafe and always-safe are complements."""
    assert pass_at_k.any_in(3, 10, 5) == pytest.approx(1 - 21 / 252)
    assert pass_at_k.all_in(3, 4, 2) == pytest.approx(0.5)
    assert pass_at_k.any_in(2, 8, 3) == pytest.approx(1 - pass_at_k.all_in(6, 8, 3))
    with pytest.raises(ValueError, match="4 of 3"):
        pass_at_k.any_in(1, 3, 4)


def test_tries_average_over_items() -> None:
    """Items with fewer than k runs are left out, and none left gives no figure."""
    items = [Item(0, 4, "a"), Item(4, 4, "b"), Item(1, 2, "c")]
    found = any_hit(items, 4)
    assert found is not None
    assert (found.value, found.items) == (0.5, 2)
    assert any_hit(items, 5) is None


def test_power_published() -> None:
    """``?power.prop.test`` in R: 77 runs for 0.5 and 0.75 at 90 %; 50 give a power of 0.740."""
    assert power.runs_needed(0.5, 0.75, power=0.9, exact=False) == 77
    assert power.power(0.5, 0.75, 50) == pytest.approx(0.740, abs=5e-4)


def test_the_least_difference_needs_those_runs() -> None:
    """What 200 runs can show is found by 200 runs, not by 190."""
    gap = power.least_difference(0.1, 200)
    assert gap is not None
    assert power.runs_needed(0.1, 0.1 + gap) <= 200 < power.runs_needed(0.1, 0.1 + gap * 0.97)
    assert power.least_difference(0.5, 3) is None


def test_trend_published() -> None:
    """Agresti's table of drinking and malformation with equal scores: z² about 1.83, p about 0.18."""
    nights = [(48, 17114), (38, 14502), (5, 793), (1, 127), (1, 38)]
    assert trend([nights]) == pytest.approx(0.18, abs=0.02)


def test_a_steady_rise_is_seen() -> None:
    """Ten nights from 5 to 23 % are a drift; ten alike are none."""
    assert trend([[(5 + 2 * i, 100) for i in range(10)]]) < 0.001
    assert trend([[(10, 100)] * 10]) == 1.0
    assert trend([[(0, 100)] * 10]) == 1.0


def _coverage(runs: int, truth: float, sweeps: int) -> float:
    random = np.random.default_rng(11)
    covered = 0
    for hits in random.binomial(runs, truth, size=sweeps):
        low, high = wilson(int(hits), runs)
        covered += low <= truth <= high
    return covered / sweeps


@pytest.mark.parametrize(("runs", "truth"), [(200, 0.1), (200, 0.25), (100, 0.5), (400, 0.03)])
def test_wilson_covers_the_truth(runs: int, truth: float) -> None:
    """Over 1,000 sweeps 93 to 97 % of intervals hold the true rate."""
    assert 0.93 <= _coverage(runs, truth, SWEEPS) <= 0.97


def test_clustered_rates_cover_the_truth() -> None:
    """Scenarios of a family that differ: the clustered interval covers, the naive one does not."""
    random = np.random.default_rng(5)
    truth, naive, careful, sweeps = 0.3, 0, 0, 400
    for _ in range(sweeps):
        rates = random.beta(3, 7, size=30)
        hits = [bool(x) for r in rates for x in random.random(20) < r]
        clusters = [i // 20 for i in range(600)]
        found = clustered.rate(hits, clusters)
        assert found.low is not None
        assert found.high is not None
        careful += found.low <= truth <= found.high
        low, high = wilson(sum(hits), 600)
        naive += low <= truth <= high
    assert naive / sweeps < 0.85
    assert 0.92 <= careful / sweeps <= 0.98
