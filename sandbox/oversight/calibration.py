"""Weights and thresholds that were fitted on labelled runs, stored with what they were fitted on.

A score is the logistic of a weighted sum of figures. Thresholds are named by the share of runs without
harm that lie above them: a monitor that alerts at ``0.01`` alerts on one such run in a hundred.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.errors import InputError


@dataclass(frozen=True)
class Calibration:
    """How figures become a score, and which scores mean something."""

    weights: Mapping[str, float]
    """Figure → weight; figures that are not named weigh nothing."""
    intercept: float
    thresholds: Mapping[str, float]
    """False-positive rate, as a text → the score above which that share of the negatives lies."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What it was fitted on: number of runs by label and family, source of labels, digest of heads."""

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the score of figures, from 0 to 1."""
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
            "weights": dict(self.weights),
            "intercept": self.intercept,
            "thresholds": dict(self.thresholds),
            "data": dict(self.data),
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Calibration:
    """Return the calibration in a file.

    Raises:
        InputError: It cannot be read, or is none.
    """
    try:
        raw = json.loads(path.read_text())
        weights = {str(name): float(value) for name, value in raw["weights"].items()}
        thresholds = {str(rate): float(value) for rate, value in raw["thresholds"].items()}
        return Calibration(weights, float(raw["intercept"]), thresholds, raw.get("data", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no calibration: {type(error).__name__}: {error}") from error
