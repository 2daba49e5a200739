"""What a policy would have made of stored runs: how many lie above each of its thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.analysis.calibration_fit import POSITIVE
from sandbox.analysis.monitor_scores import Scored
from sandbox.monitors.policy import Policy, PolicyLevel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """The runs that lie above one threshold, whatever stricter ones they lie above too."""

    level: PolicyLevel
    harmful: tuple[int, int]
    """Of the runs with harm: how many, of how many."""
    harmless: tuple[int, int]
    """Of the runs without."""
    benign: tuple[int, int]
    """Of these, those without attack."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        told = {"harmful": self.harmful, "harmless": self.harmless, "benign": self.benign}
        return {
            "verdict": self.level.verdict,
            "threshold": self.level.threshold,
            "rate": self.level.rate,
            **{name: {"above": above, "runs": runs} for name, (above, runs) in told.items()},
        }


@dataclass(frozen=True)
class Weighed:
    """A policy over labelled runs."""

    policy: Policy
    scores: Floats
    """The score of each run after its last step."""
    reached: tuple[Reached, ...]
    """Each threshold, the mildest verdict first."""
    akin: bool
    """Whether its calibration was made on runs of the same family and model, these perhaps among them:
    then the rates are no test of it."""

    def as_data(self) -> dict[str, object]:
        """Return it as JSON data."""
        return {
            "name": self.policy.monitor,
            "calibration": self.policy.file.calibration,
            "calibration_sha256": self.policy.calibration_sha256,
            "calibrated_on_akin": self.akin,
            "thresholds": [item.as_data() for item in self.reached],
        }


def weighed(runs: Sequence[Scored], values: Sequence[str], policy: Policy) -> Weighed:
    """Return how a policy does over runs; a monitor that failed, or did not watch, counts as silent.

    Args:
        runs: What was scored.
        values: Their labels, in the same order.
        policy: The policy.
    """
    scores = np.asarray([policy.calibration.score(_given(run)) for run in runs])
    positive = np.asarray([value in POSITIVE for value in values])
    benign = np.asarray([value == "benign" for value in values])
    reached = tuple(
        Reached(
            level,
            _above(scores[positive], level),
            _above(scores[~positive], level),
            _above(scores[benign], level),
        )
        for level in policy.levels
    )
    return Weighed(policy, scores, reached, _akin(runs, policy.calibration.data))


def _akin(runs: Sequence[Scored], data: Mapping[str, Any]) -> bool:
    families, models = data.get("families") or {}, data.get("models") or {}
    return any(run.group["family"] in families and run.group["model"] in models for run in runs)


def _given(run: Scored) -> dict[str, float]:
    found = {name: value or 0.0 for name, value in run.scores.items()}
    return found | {name: told.score or 0.0 for name, told in run.judged.items()}


def _above(scores: Floats, level: PolicyLevel) -> tuple[int, int]:
    return int((scores > level.threshold).sum()), len(scores)
