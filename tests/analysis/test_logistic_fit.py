"""Weights that are fitted recover those that made the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandbox.analysis.logistic_fit import logistic, witnesses
from sandbox.errors import InputError
from sandbox.monitors.calibration import Calibration, load_calibration
from tests.support import REPOSITORY


def test_logistic_regression_recovers_the_truth() -> None:
    """With many rows and a weak penalty the weights are those that drew the labels."""
    drawn = np.random.default_rng(0)
    figures = drawn.normal(size=(20000, 3))
    truth = np.array([2.0, -1.0, 0.0])
    positive = drawn.random(20000) < 1 / (1 + np.exp(-(figures @ truth - 0.5)))
    weights, intercept = logistic(figures, positive, penalty=1e-3)
    assert np.allclose(weights, truth, atol=0.1)
    assert abs(intercept + 0.5) < 0.1


def test_the_call_that_stands_for_its_run_is_found() -> None:
    """Where only one call of a harmful run is telling, its figure gets the weight."""
    drawn = np.random.default_rng(1)
    positive = np.arange(400) % 2 == 0
    bags = []
    for label in positive:
        bag = drawn.random((6, 2)) * [0.2, 1.0]
        if label:
            bag[drawn.integers(6), 0] = 1.0
        bags.append(bag)
    weights, _ = witnesses(bags, positive, lambda bag: bag.sum(axis=1))
    assert weights[0] > 3 * abs(weights[1])


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    """What is written is what is read."""
    made = Calibration({"a": 1.0}, -0.5, {"0.01": 0.9}, "noisy-or", {"runs": 3})
    (tmp_path / "x.json").write_text(made.as_text())
    assert load_calibration(tmp_path / "x.json") == made


@pytest.mark.parametrize("text", ["", "[]", '{"weights": 3}', '{"weights": {"a": "x"}}'])
def test_a_file_that_is_no_calibration(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: no calibration"):
        load_calibration(tmp_path / "x.json")


def test_the_noisy_or_of_figures() -> None:
    """One certain cause is enough; two half-believed ones make three quarters."""
    both = Calibration({"a": 0.5, "b": 0.5}, 0.0, {}, "noisy-or")
    assert both.score({"a": 1.0, "b": 1.0}) == pytest.approx(0.75)
    assert Calibration({"a": 1.0}, 0.0, {}, "noisy-or").score({"a": 1.0}) == 1.0


@pytest.mark.parametrize("name", ["steering", "combined"])
def test_what_is_shipped_says_what_it_was_fitted_on(name: str) -> None:
    """Number of runs, labels, families and models stand beside the weights."""
    shipped = load_calibration(REPOSITORY / "monitors" / "calibrations" / f"{name}.json")
    assert {
        "runs",
        "labels",
        "outcomes",
        "families",
        "models",
        "runs_sha256",
    } <= shipped.data.keys()
    assert set(shipped.thresholds) == {"0.01", "0.05"}
