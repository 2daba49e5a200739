"""Night against night: a planted regression is flagged, equal nights are not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from sandbox.analysis.drift import compare
from tests.support.outcomes import MIXED, MODEL, night, run


def _mixed(scenario: str, seed: int) -> float:
    """Draw as the scripted model does."""
    return Random(f"{seed}/{scenario}/mixed").random()  # noqa: S311 - a dice, not a key


@pytest.mark.parametrize("scenarios", [1, 10, 20])
def test_a_planted_regression_is_flagged(scenarios: int) -> None:
    """Drawn as scripted/mixed draws: 0.10 one night, 0.25 the next, 200 runs each."""
    before, after = (
        [
            run(name, unsafe=_mixed(name, seed) < rate, model=f"{MIXED}{rate}")
            for name in (f"family{s % 3}/s{s}" for s in range(scenarios))
            for seed in range(200 // scenarios)
        ]
        for rate in (0.10, 0.25)
    )
    found = compare(before, after)
    assert found.pairs == ((f"{MIXED}0.1", f"{MIXED}0.25"),)
    assert "unsafe" in {item.metric for item in found.worse}
    assert found.unmatched == ()


@pytest.mark.parametrize("scenarios", [1, 10])
def test_equal_nights_are_seldom_flagged(scenarios: int) -> None:
    """200 pairs that do not differ: at most 5 % are flagged at all, whatever the finding."""
    random = np.random.default_rng(2)
    flagged = 0
    for _ in range(200):
        pair = [night(random, 0.15, scenarios=scenarios, runs=200 // scenarios) for _ in range(2)]
        flagged += any(item.flagged for item in compare(*pair).findings)
    assert flagged <= 10


def test_the_regression_is_found_nearly_always() -> None:
    """Of 60 planted regressions nearly all are flagged: the level does not cost the power."""
    random = np.random.default_rng(3)
    found = sum(bool(compare(night(random, 0.1), night(random, 0.25)).worse) for _ in range(60))
    assert found >= 54


def test_the_same_seeds_are_compared_pair_by_pair() -> None:
    """90 runs a night with the same seeds: what scripted models draw alike, 0.10 and 0.25 stand apart."""
    nights = [
        [
            run(f"a/s{s}", unsafe=_mixed(f"a/s{s}", seed) < rate, seed=seed)
            for s in range(9)
            for seed in range(10)
        ]
        for rate in (0.10, 0.25)
    ]
    unsafe = compare(*nights).findings[0]
    assert unsafe.flagged
    other = [replace(r, seed=r.seed + 1000) for r in nights[1]]
    assert compare(nights[0], other).findings[0].p > unsafe.p


def test_one_scenario_that_turns_is_found() -> None:
    """A single scenario from 0 to 60 % does not vanish in the sum."""
    random = np.random.default_rng(4)
    before = night(random, 0.0)
    after = [
        r if r.scenario != "family1/s4" else run("family1/s4", unsafe=bool(i % 5 < 3))
        for i, r in enumerate(night(random, 0.0))
    ]
    found = compare(before, after)
    assert "family1/s4" in {item.scenario for item in found.worse}
    assert {item.scenario for item in found.new} == {"family1/s4"}


def test_a_new_failure_is_told_but_not_flagged_once() -> None:
    """One run that fails in a new way is worth reading, and is no evidence of a change."""
    before = [run("a/x", unsafe=False) for _ in range(20)]
    after = [run("a/x", unsafe=i == 0) for i in range(20)]
    found = compare(before, after)
    assert [item.what for item in found.new] == [f"a/x · unsafe · canary.left, {MODEL}"]
    assert not found.worse


def test_nothing_changed() -> None:
    """A night compared with itself has no difference, and no flag."""
    one = night(np.random.default_rng(6), 0.3)
    found = compare(one, one)
    assert {item.difference for item in found.findings} == {0.0}
    assert not any(item.flagged for item in found.findings)


def test_faults_are_not_the_agents() -> None:
    """Runs that the environment ended change no rate of the agent's; they are told apart."""
    before = [run("a/x", unsafe=False) for _ in range(40)]
    after = [run("a/x", unsafe=False, task="error", reason="docker went away")] * 20 + before[:20]
    found = {item.metric: item for item in compare(before, after).findings}
    assert found["unsafe"].runs_after == 20
    assert found["environment_fault"].flagged
    assert found["environment_fault"].direction == "changed"


def test_what_cannot_be_compared_is_named() -> None:
    """Scenarios and models of one side only are in no rate, and are told."""
    before = [run("a/x", unsafe=False), run("a/old", unsafe=False)]
    after = [run("a/x", unsafe=False), run("a/new", unsafe=True)]
    others = [run("a/x", unsafe=False, model=name) for name in ("m/one", "m/two")]
    found = compare(before, [*after, *others])
    assert (found.only_before, found.only_after) == (("a/old",), ("a/new",))
    assert set(found.unmatched) == {"m/one", "m/two"}
    assert {item.runs_after for item in found.findings if item.metric == "unsafe"} == {1}


def test_no_runs_at_all() -> None:
    """Nothing against nothing gives nothing."""
    assert compare([], []).findings == ()


def test_a_steady_drift_is_seen() -> None:
    """Six nights that rise by little each: no one step shows it, all of them do."""
    random = np.random.default_rng(8)
    nights = [night(random, rate) for rate in (0.04, 0.08, 0.12, 0.16, 0.20)]
    before = [r for part in nights for r in part]
    found = compare(before, night(random, 0.24), nights=nights)
    drift = next(item for item in found.findings if item.metric == "drift")
    assert drift.flagged
    assert drift.direction == "worse"
