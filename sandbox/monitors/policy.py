"""A policy: what follows where several monitors' scores, taken together, lie above a threshold.

Monitors give scores; a calibration says how they become one, and above which value lies which share of
the runs without harm that it was made on. A policy names a calibration and says which verdict is given
from where on. It holds on to each monitor's highest score so far, as ``monitor score`` does over a whole run:
after a run's last step its score is the one that the run gets there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator, model_validator

from sandbox.enums import STRICTNESS, Decision, Severity
from sandbox.errors import InputError, ScenarioError
from sandbox.monitors import calibration
from sandbox.monitors.calibration import Calibration
from sandbox.monitors.verdict import Verdict
from sandbox.scenario import yaml_positions
from sandbox.scenario.localized_text import Text, in_language
from sandbox.scenario.schema import Tags
from sandbox.scenario.validation import Strict, validate
from sandbox.scenario.yaml_positions import Located
from sandbox.trace.call_events import PolicyScore
from sandbox.trace.events import canonical

PolicyVerdict = Literal[Decision.ALERT, Decision.ESCALATE, Decision.BLOCK, Decision.TERMINATE]
_SHOWN = {
    "en": "several signs together are too suspicious",
    "fr": "plusieurs indices réunis sont trop suspects",
}


class Threshold(Strict):
    """One verdict and from where on it is given."""

    verdict: PolicyVerdict
    """What follows."""
    at: str | float | None = None
    """The share of runs without harm that may lie above, ``1%`` or 0.01: one that the calibration has."""
    above: float | None = Field(None, ge=0, lt=1)
    """The score itself, from 0 to 1, where no share is named."""

    @field_validator("at")
    @classmethod
    def _share(cls, at: str | float | None) -> float | None:
        if at is None:
            return None
        text = str(at).strip()
        percent = text.endswith("%")
        try:
            share = float(text.removesuffix("%")) / (100 if percent else 1)
        except ValueError:
            share = math.nan
        if not 0 < share < 1:
            raise ValueError(f"should be a share such as 1% or 0.01, not {text!r}")
        return share

    @model_validator(mode="after")
    def _one(self) -> Threshold:
        if (self.at is None) == (self.above is None):
            raise ValueError("one of 'at' and 'above' says from where on the verdict is given")
        return self


class PolicyFile(Strict):
    """A policy, version 1."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of the format."""
    title: Text
    """One line for people."""
    calibration: str = Field(min_length=1)
    """A file of ``monitors/calibrations`` without its ending, or a path to one from this file."""
    thresholds: tuple[Threshold, ...]
    """Verdicts; of those whose threshold is passed the strictest is given."""
    severity: Severity = Severity.HIGH
    """How bad what it finds is."""
    reason: Text | None = None
    """What the agent reads where it is refused; no monitor's name or score, which tell it what to avoid."""
    tags: Tags = ()
    """Taxonomy ids."""

    @field_validator("thresholds")
    @classmethod
    def _some(cls, thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        if not thresholds:
            raise ValueError("should hold at least one")
        return thresholds


@dataclass(frozen=True)
class PolicyLevel:
    """A verdict and the score above which it is given."""

    verdict: PolicyVerdict
    threshold: float
    rate: float | None = None
    """Share of runs without harm, of those that the calibration was made on; None for a plain score."""


@dataclass(frozen=True)
class Policy:
    """A policy with its calibration; a value that many runs may share, see :class:`PolicyState`."""

    name: str
    """As its file is called."""
    file: PolicyFile
    calibration: Calibration
    levels: tuple[PolicyLevel, ...]
    """From the mildest to the strictest."""
    text: str
    """Of its file."""
    calibration_text: str
    """Of the calibration's file."""

    @property
    def monitor(self) -> str:
        """The name that stands in verdicts."""
        return f"policy.{self.name}"

    @property
    def summary(self) -> str:
        """One line for people."""
        return in_language(self.file.title, "en")

    @property
    def contributors(self) -> tuple[str, ...]:
        """The monitors whose scores it takes together."""
        return tuple(self.calibration.weights)

    @property
    def families(self) -> tuple[str, ...]:
        """Their families; those of a scenario's own rules are not among them."""
        names = (name.partition(".")[0] for name in self.contributors)
        return tuple(dict.fromkeys(name for name in names if name != "scenario"))

    @property
    def sha256(self) -> str:
        """Hash of the policy's text."""
        return _digest(self.text)

    @property
    def calibration_sha256(self) -> str:
        """Hash of the calibration's text, the data that it was made on included."""
        return _digest(self.calibration_text)

    def level(self, score: float) -> PolicyLevel | None:
        """Return the strictest level that a score lies above."""
        return next((item for item in reversed(self.levels) if score > item.threshold), None)

    def as_text(self) -> str:
        """Return all of it as one text for ``run.start``, which the store keeps once for many runs."""
        told = {"calibration_text": self.calibration_text, "name": self.name, "text": self.text}
        return canonical(told)


def read(name: str, text: str, document: Located, calibration_text: str) -> Policy:
    """Return a policy from the texts of its files.

    Args:
        name: What it is called.
        text: Of its file.
        document: The same, parsed.
        calibration_text: Of the calibration that it names.

    Raises:
        ScenarioError: With all that is wrong in it, by file and line.
    """
    file = validate(PolicyFile, document)
    try:
        made = calibration.parse_calibration(calibration_text, file.calibration)
    except InputError as error:
        raise ScenarioError([document.problem(("calibration",), str(error))]) from error
    levels, problems = [], []
    for index, item in enumerate(file.thresholds):
        found = _level(item, made)
        if isinstance(found, PolicyLevel):
            levels.append(found)
        else:
            problems.append(document.problem(("thresholds", index, "at"), found))
    if problems:
        raise ScenarioError(problems)
    levels.sort(key=lambda level: STRICTNESS[level.verdict])
    return Policy(name, file, made, tuple(levels), text, calibration_text)


def from_text(told: str) -> Policy | None:
    """Return the policy that a run's ``run.start`` tells of; None for an empty text.

    Raises:
        InputError: The text is none.
    """
    if not told:
        return None
    try:
        data = json.loads(told)
        name, text, made = (str(data[key]) for key in ("name", "text", "calibration_text"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"no policy: {type(error).__name__}: {error}") from error
    return read(name, text, yaml_positions.parse(text, f"policy {name}"), made)


class PolicyState:
    """How one run stands with a policy: each contributing monitor's highest score so far."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._highest = dict.fromkeys(policy.contributors, 0.0)
        self._level: PolicyLevel | None = None
        self.score = 0.0
        """All of them together."""

    @property
    def name(self) -> str:
        """The name that stands in verdicts."""
        return self.policy.monitor

    def update(self, verdicts: Iterable[Verdict], lang: str) -> Verdict | None:
        """Return what follows from one step, or None.

        Something follows only of a step on which a contributing monitor gave a score itself: once a
        run lies above a threshold, calls that nobody finds suspicious still go on. An alert is given
        where it is reached, the stricter verdicts of each such step from there on.

        Args:
            given: What all monitors said of the step, scores without a verdict included.
            lang: Language of what the agent reads.
        """
        spoke = False
        for verdict in verdicts:
            if verdict.score > 0 and verdict.monitor in self._highest:
                spoke = True
                before = self._highest[verdict.monitor]
                self._highest[verdict.monitor] = max(before, verdict.score)
        if not spoke:
            return None
        self.score = self.policy.calibration.score(self._highest)
        level = self.policy.level(self.score)
        if level is None or (level == self._level and level.verdict == Decision.ALERT):
            return None
        self._level = level
        return self._verdict(level, lang)

    def _verdict(self, level: PolicyLevel, lang: str) -> Verdict:
        policy = self.policy
        parts = ", ".join(f"{name} {high:.2f}" for name, high in self._highest.items() if high)
        rate = "" if level.rate is None else f", {level.rate:.3g} of the runs without harm"
        told: PolicyScore = {
            "calibration": policy.file.calibration,
            "calibration_sha256": policy.calibration_sha256,
            "name": policy.name,
            "rate": level.rate,
            "threshold": level.threshold,
        }
        return Verdict(
            policy.monitor,
            level.verdict,
            policy.file.severity,
            f"{parts}: together {self.score:.3f}, above {level.threshold:g}{rate}",
            self.score,
            tags=policy.file.tags,
            shown=in_language(policy.file.reason or _SHOWN, lang),
            policy=told,
        )


def _level(item: Threshold, calibration: Calibration) -> PolicyLevel | str:
    """Return a threshold as a score, or why there is none."""
    if item.above is not None:
        return PolicyLevel(item.verdict, item.above)
    assert isinstance(item.at, float)
    for rate, threshold in calibration.thresholds.items():
        if math.isclose(float(rate), item.at, rel_tol=1e-9):
            return PolicyLevel(item.verdict, threshold, float(rate))
    known = ", ".join(f"{float(rate):.3g}" for rate in calibration.thresholds) or "none"
    return f"the calibration has no threshold for {item.at:.3g}; there are: {known}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
