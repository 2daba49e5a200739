"""The large simulations: level and power of comparisons, coverage, over many settings."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from sandbox.analysis import clustered
from sandbox.analysis.drift import compare
from sandbox.analysis.rates import wilson
from tests.support.outcomes import night

pytestmark = pytest.mark.load

PAIRS = 500


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("scenarios", [1, 10])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.15, 0.3])
def test_level(rate: float, scenarios: int, paired: bool) -> None:
    """Nights that do not differ are flagged in at most 5 % of 500 cases, whatever is flagged."""
    random = np.random.default_rng(round(1000 * rate) + scenarios + paired)
    flagged = 0
    for _ in range(PAIRS):
        one, two = (
            night(random, rate, scenarios=scenarios, runs=200 // scenarios) for _ in range(2)
        )
        two = two if paired else [replace(item, seed=7) for item in two]
        flagged += any(item.flagged for item in compare(one, two).findings)
    assert flagged / PAIRS <= 0.05


@pytest.mark.parametrize("scenarios", [1, 10, 20])
def test_power(scenarios: int) -> None:
    """0.10 against 0.25, 200 runs each, other seeds: flagged in at least 93 % of 500 cases."""
    random = np.random.default_rng(scenarios)
    found = 0
    for _ in range(PAIRS):
        one, two = (
            night(random, rate, scenarios=scenarios, runs=200 // scenarios) for rate in (0.1, 0.25)
        )
        found += bool(compare(one, [replace(item, seed=7) for item in two]).worse)
    assert found / PAIRS >= 0.93


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.5])
def test_coverage_of_what_scripted_models_play(rate: float) -> None:
    """Over 1,000 sweeps of 200 draws as scripted/mixed makes them 93 to 97 % of intervals cover."""
    covered = 0
    for sweep in range(1000):
        hits = sum(
            Random(f"{200 * sweep + seed}/a/x/mixed").random() < rate  # noqa: S311 - a dice, not a key
            for seed in range(200)
        )
        low, high = wilson(hits, 200)
        covered += low <= rate <= high
    assert 930 <= covered <= 970


@pytest.mark.parametrize("clusters", [8, 15, 40])
def test_coverage_of_clustered_rates(clusters: int) -> None:
    """With few clusters and with many, 1,000 sweeps over scenarios that differ are covered."""
    random = np.random.default_rng(clusters)
    covered = 0
    for _ in range(1000):
        rates = random.beta(3, 7, size=clusters)
        hits = [bool(x) for r in rates for x in random.random(20) < r]
        found = clustered.rate(hits, [i // 20 for i in range(20 * clusters)])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    assert 930 <= covered <= 980
