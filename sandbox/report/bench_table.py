"""The figures of monitors over labelled runs, as data and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.analysis.bench import MESSAGES, Scored
from sandbox.analysis.calibrating import (
    COMBINED,
    POSITIVE,
    STEERING,
    left_out,
    monitors,
    together,
)
from sandbox.analysis.detection import Detection, compare, measure
from sandbox.errors import InputError, nearest
from sandbox.oversight.calibration import Calibration

HEADINGS = ("monitor", "AUROC", "TPR 1 %", "TPR 5 %", "AP", "benign alerts", "unscored", "µs/step")
_RESAMPLES = 400

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """One monitor over one set of runs."""

    name: str
    detection: Detection
    alerts: tuple[int, int] | None
    """Runs without attack on which it alerts, and their number; None for what gives no verdicts."""
    microseconds: float | None
    """Mean time for a step."""

    def as_data(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        alerts = self.alerts and {"alerts": self.alerts[0], "runs": self.alerts[1]}
        found = {"name": self.name, **self.detection.as_data()}
        return {**found, "benign": alerts, "microseconds_per_step": self.microseconds}


@dataclass(frozen=True)
class Report:
    """All figures."""

    parts: list[tuple[str, list[Figures]]]
    """Heading, empty for all runs together → figures of each monitor, the best first."""
    baselines: dict[str, Figures]
    differences: list[str] = field(default_factory=list)
    outcomes: Mapping[str, int] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        (_, whole), *groups = self.parts
        return {
            "monitors": [item.as_data() for item in whole if item.name != MESSAGES],
            "baselines": {name: item.as_data() for name, item in self.baselines.items()},
            "groups": {heading: [item.as_data() for item in part] for heading, part in groups},
            "differences": self.differences,
            "outcomes": dict(self.outcomes),
        }


def made(
    runs: Sequence[Scored],
    values: Sequence[str],
    *,
    leave_out: str | None = None,
    by: str | None = None,
    compare: tuple[str, str] | None = None,
    shipped: Calibration | None = None,
) -> Report:
    """Return the figures of all monitors that scored.

    Args:
        runs: The runs.
        values: Their labels, in the same order.
        leave_out: ``family`` or ``model``: what is fitted is fitted without the group that is scored.
        by: ``family`` or ``model``: figures for each group as well.
        compare: Two monitors to be compared.
        shipped: The weights of ``combined`` where nothing is fitted.
    """
    positive = np.asarray([value in POSITIVE for value in values])
    table: dict[str, Floats] = {
        name: np.asarray([_number(run.scores.get(name)) for run in runs]) for name in monitors(runs)
    }
    if leave_out:
        table |= left_out(runs, positive, lambda run: run.group[leave_out])
    elif shipped is not None and STEERING in table:
        table[COMBINED] = together(runs, shipped, np.nan_to_num(table[STEERING]))
    table[MESSAGES] = np.asarray([float(run.messages) for run in runs])
    parts = [("", _figures(runs, values, positive, table))]
    if by:
        for group in sorted({run.group[by] for run in runs}):
            inside = np.flatnonzero([run.group[by] == group for run in runs])
            if len(set(positive[inside].tolist())) == 2:
                chosen = [runs[i] for i in inside.tolist()]
                told = [values[i] for i in inside.tolist()]
                cut = {name: row[inside] for name, row in table.items()}
                parts.append((group, _figures(chosen, told, positive[inside], cut)))
    counts = {value: list(values).count(value) for value in dict.fromkeys(values)}
    base = next(item for item in parts[0][1] if item.name == MESSAGES)
    told_apart = _compared(compare, table, positive, runs) if compare else []
    return Report(parts, {MESSAGES: base}, told_apart, counts)


def row(item: Figures) -> tuple[str, ...]:
    """Return one line of the table."""
    told = item.detection
    one, five = (told.tpr[rate] for rate in (0.01, 0.05))
    alerts = "–" if item.alerts is None else f"{item.alerts[0]}/{item.alerts[1]}"
    return (
        item.name, _shown(told.auroc), _shown(one), _shown(five), f"{told.average_precision.value:.2f}",
        alerts, str(told.unscored), "–" if item.microseconds is None else f"{item.microseconds:.0f}",
    )  # fmt: skip


def _figures(
    runs: Sequence[Scored], values: Sequence[str], positive: Any, table: Mapping[str, Floats]
) -> list[Figures]:
    clusters = [run.group["cluster"] for run in runs]
    benign = [run for run, value in zip(runs, values, strict=True) if value == "benign"]
    steps = sum(run.steps for run in runs) or 1
    found = []
    for name, scores in table.items():
        silent = not np.nan_to_num(scores).any()
        if silent and name != MESSAGES:
            continue
        spoken = sum(name in run.alerts for run in benign)
        known = name in runs[0].scores
        spent = sum(run.seconds.get(name, 0.0) for run in runs) / steps * 1e6 if known else None
        detection = measure(scores, positive, clusters, resamples=_RESAMPLES)
        found.append(Figures(name, detection, (spoken, len(benign)) if known else None, spent))
    return sorted(found, key=lambda item: -(item.detection.auroc.value or 0.0))


def _compared(
    pair: tuple[str, str], table: Mapping[str, Floats], positive: Any, runs: Sequence[Scored]
) -> list[str]:
    for name in pair:
        if name not in table:
            raise InputError(f"--compare: unknown monitor {name!r}{nearest(name, table)}")
    clusters = [run.group["cluster"] for run in runs]
    found = compare(table[pair[0]], table[pair[1]], positive, clusters, resamples=_RESAMPLES)
    return [
        f"{item.what}: {pair[0]} {item.first:.3f}, {pair[1]} {item.second:.3f}, difference "
        f"{item.difference.value:+.3f} [{item.difference.low:+.3f}, {item.difference.high:+.3f}], p = {item.p:.3f}"
        for item in found.differences
        if item.first is not None and item.second is not None
    ]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _shown(item: Any) -> str:
    return f"{item.value:.3f} [{item.low:.2f}, {item.high:.2f}]"
