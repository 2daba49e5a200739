"""Weights and thresholds that were fitted on labelled runs, stored with what they were fitted on.

A score is the logistic of a weighted sum of figures, or their noisy or: the chance that at least one of
independent causes, each believed as far as its weight says, is at work (J. Pearl, Probabilistic
Reasoning in Intelligent Systems, 1988, 4.3.2). Thresholds are named by the share of runs without
harm that lie above them: a monitor that alerts at ``0.01`` alerts on one such run in a hundred.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from sandbox.errors import InputError

Rule = Literal["logistic", "noisy-or"]


@dataclass(frozen=True)
class Calibration:
    """How figures become a score, and which scores mean something."""

    weights: Mapping[str, float]
    """Figure → weight; figures that are not named weigh nothing."""
    intercept: float
    thresholds: Mapping[str, float]
    """False-positive rate, as a text → the score above which that share of the negatives lies."""
    rule: Rule = "logistic"
    data: Mapping[str, Any] = field(default_factory=dict)
    """What it was fitted on: number of runs by label and family, source of labels, digest of heads."""

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the score of figures, from 0 to 1."""
        if self.rule == "noisy-or":
            left = 1.0
            for name, weight in self.weights.items():
                left *= 1.0 - weight * figures.get(name, 0.0)
            return 1.0 - left
        total = self.intercept + sum(
            weight * figures.get(name, 0.0) for name, weight in self.weights.items()
        )
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, total))))

    def above(self, rate: str, score: float) -> bool:
        """Return whether a score lies above the threshold of a false-positive rate."""
        return score > self.thresholds[rate]

    def as_text(self) -> str:
        """Return it as the text of a file."""
        told = {
            "schema": 1,
            "rule": self.rule,
            "weights": dict(self.weights),
            "intercept": self.intercept,
            "thresholds": dict(self.thresholds),
            "data": dict(self.data),
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def load_calibration(path: Path) -> Calibration:
    """Return the calibration in a file; see :func:`parse_calibration`."""
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no calibration: {type(error).__name__}: {error}") from error
    return parse_calibration(text, str(path))


def parse_calibration(text: str, name: str) -> Calibration:
    """Return the calibration in a text.

    Args:
        text: As :meth:`Calibration.as_text` gives it.
        name: How to call it in errors.

    Raises:
        InputError: It is none.
    """
    try:
        return _from_data(json.loads(text, parse_constant=_refuse))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{name}: no calibration: {type(error).__name__}: {error}") from error


class _CalibrationData(TypedDict):
    """What a file of a calibration holds, if it is one."""

    rule: NotRequired[str]
    weights: Mapping[str, float]
    intercept: float
    thresholds: Mapping[str, float]
    data: NotRequired[Mapping[str, Any]]


def _from_data(raw: _CalibrationData) -> Calibration:
    weights = {str(name): float(value) for name, value in raw["weights"].items()}
    thresholds = {str(rate): float(value) for rate, value in raw["thresholds"].items()}
    rule: Rule = "noisy-or" if raw.get("rule") == "noisy-or" else "logistic"
    if rule == "noisy-or" and not all(0 <= weight <= 1 for weight in weights.values()):
        raise ValueError("weights of a noisy or lie between 0 and 1")
    if any(not 0 < float(rate) < 1 for rate in thresholds):
        raise ValueError("thresholds are named by a share between 0 and 1")
    return Calibration(weights, float(raw["intercept"]), thresholds, rule, raw.get("data", {}))


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
