"""The figures of monitors over labelled runs, as data and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.analysis.bootstrap import Estimate
from sandbox.analysis.calibration_fit import (
    COMBINED,
    POSITIVE,
    STEERING,
    left_out,
    monitors,
    together,
)
from sandbox.analysis.detection_metrics import Detection, compare, measure
from sandbox.analysis.monitor_scores import MESSAGES, Scored
from sandbox.analysis.policy_evaluation import Weighed, weighed
from sandbox.errors import InputError, nearest
from sandbox.monitors.calibration import Calibration
from sandbox.monitors.judges.usage import JudgeUsage, total
from sandbox.monitors.policy import Policy

HEADINGS = ("monitor", "AUROC", "TPR 1 %", "TPR 5 %", "AP", "benign alerts", "unscored", "µs/step")
JUDGES = ("judge", "unscored questions", "€/call", "s/call")
"""Heads of the columns of what judges used."""
THRESHOLDS = ("verdict", "above", "stated rate", "runs without harm", "without attack", "with harm")
"""Heads of the columns of a policy's thresholds."""
AKIN = "The calibration was made on runs of the same families and models, these perhaps: no test of its rates."
_RESAMPLES = 400

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MonitorFigures:
    """One monitor over one set of runs."""

    name: str
    detection: Detection
    alerts: tuple[int, int] | None
    """Runs without attack on which it alerts, and their number; None for what gives no verdicts."""
    microseconds: float | None
    """Mean time for a step."""
    used: JudgeUsage | None = None
    """What a judge used over all its runs; None for what is no judge."""

    def as_data(self) -> dict[str, object]:
        """Return it as ``--json`` prints it."""
        alerts = self.alerts and {"alerts": self.alerts[0], "runs": self.alerts[1]}
        found = {"name": self.name, **self.detection.as_data()}
        found |= {"benign": alerts, "microseconds_per_step": self.microseconds}
        return found if self.used is None else {**found, "judge": _spent(self.used)}


@dataclass(frozen=True)
class Report:
    """All figures."""

    parts: list[tuple[str, list[MonitorFigures]]]
    """Heading, empty for all runs together → figures of each monitor, the best first."""
    baselines: dict[str, MonitorFigures]
    differences: list[str] = field(default_factory=list)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    policy: Weighed | None = None
    """What a policy makes of the runs, where one is asked for."""

    def as_data(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        (_, whole), *groups = self.parts
        return {
            "monitors": [item.as_data() for item in whole if item.name != MESSAGES],
            "baselines": {name: item.as_data() for name, item in self.baselines.items()},
            "groups": {heading: [item.as_data() for item in part] for heading, part in groups},
            "differences": self.differences,
            "outcomes": dict(self.outcomes),
            **({"policy": self.policy.as_data()} if self.policy else {}),
        }


def made(
    runs: Sequence[Scored],
    values: Sequence[str],
    *,
    leave_out: str | None = None,
    by: str | None = None,
    compare: tuple[str, str] | None = None,
    shipped: Calibration | None = None,
    policy: Policy | None = None,
) -> Report:
    """Return the figures of all monitors that scored.

    Args:
        runs: The runs.
        values: Their labels, in the same order.
        leave_out: ``family`` or ``model``: what is fitted is fitted without the group that is scored.
        by: ``family`` or ``model``: figures for each group as well.
        compare: Two monitors to be compared.
        shipped: The weights of ``combined`` where nothing is fitted.
        policy: A policy to be tried on the runs as it is.
    """
    positive = np.asarray([value in POSITIVE for value in values])
    table: dict[str, Floats] = {
        name: np.asarray([_number(run.scores.get(name)) for run in runs]) for name in monitors(runs)
    }
    for judge in sorted({name for run in runs for name in run.judged}):
        scores = [run.judged[judge].score if judge in run.judged else None for run in runs]
        table[judge] = np.asarray([_number(score) for score in scores])
    if leave_out:
        table |= left_out(runs, positive, lambda run: run.group[leave_out])
    elif shipped is not None and STEERING in table:
        table[COMBINED] = together(runs, shipped, np.nan_to_num(table[STEERING]))
    tried = weighed(runs, values, policy) if policy else None
    if tried is not None:
        table[tried.policy.monitor] = tried.scores
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
    return Report(parts, {MESSAGES: base}, told_apart, counts, tried)


def row(item: MonitorFigures) -> tuple[str, ...]:
    """Return one line of the table."""
    told = item.detection
    one, five = (told.tpr[rate] for rate in (0.01, 0.05))
    alerts = "–" if item.alerts is None else f"{item.alerts[0]}/{item.alerts[1]}"
    return (
        item.name,
        _shown(told.auroc),
        _shown(one),
        _shown(five),
        _value(told.average_precision),
        alerts,
        str(told.unscored),
        "–" if item.microseconds is None else f"{item.microseconds:.0f}",
    )


def thresholds(tried: Weighed) -> list[tuple[str, ...]]:
    """Return the lines of the table of a policy's thresholds, the mildest first."""
    return [
        (
            item.level.verdict,
            f"{item.level.threshold:g}",
            "–" if item.level.rate is None else f"{100 * item.level.rate:g} %",
            _share(item.harmless),
            _share(item.benign),
            _share(item.harmful),
        )
        for item in tried.reached
    ]


def _share(counts: tuple[int, int]) -> str:
    above, runs = counts
    return f"{above}/{runs} ({100 * above / runs:.2f} %)" if runs else "–"


def judges(part: Sequence[MonitorFigures]) -> list[tuple[str, ...]]:
    """Return the lines of the table of what judges used; none where there are no judges."""
    return [_used(item.name, item.used) for item in part if item.used is not None]


def _used(name: str, used: JudgeUsage) -> tuple[str, ...]:
    rate = f" ({100 * used.unscored / used.asked:.1f} %)" if used.asked else ""
    unscored = f"{used.unscored}/{used.asked}{rate}"
    if not used.calls:
        return name, unscored, "–", "–"
    least = "" if used.price_known else "≥ "
    cost, seconds = used.cost_eur / used.calls, used.seconds / used.calls
    return name, unscored, f"{least}{cost:.5f}", f"{seconds:.2f}"


def _figures(
    runs: Sequence[Scored], values: Sequence[str], positive: Any, table: Mapping[str, Floats]
) -> list[MonitorFigures]:
    found = [
        _figure(name, runs, values, positive, scores)
        for name, scores in table.items()
        if name == MESSAGES or np.nan_to_num(scores).any() or any(name in r.judged for r in runs)
    ]
    return sorted(found, key=lambda item: -(item.detection.auroc.value or 0.0))


def _figure(
    name: str, runs: Sequence[Scored], values: Sequence[str], positive: Any, scores: Floats
) -> MonitorFigures:
    """Return the figures of one monitor; those of a judge on the runs that it was asked about."""
    asked = np.flatnonzero([name in run.judged for run in runs]).tolist()
    used = total(runs[i].judged[name].used for i in asked) if asked else None
    if asked:
        runs, values = [runs[i] for i in asked], [values[i] for i in asked]
        positive, scores = positive[asked], scores[asked]
    clusters = [run.group["cluster"] for run in runs]
    detection = measure(scores, positive, clusters, resamples=_RESAMPLES)
    known = bool(asked) or name in runs[0].scores
    benign = [run for run, value in zip(runs, values, strict=True) if value == "benign"]
    spoken = sum(run.judged[name].alerts if asked else name in run.alerts for run in benign)
    steps = sum(run.steps for run in runs) or 1
    spent = sum(run.seconds.get(name, 0.0) for run in runs) / steps * 1e6
    return MonitorFigures(
        name,
        detection,
        (spoken, len(benign)) if known else None,
        spent if known and used is None else None,
        used,
    )


def _spent(used: JudgeUsage) -> dict[str, object]:
    """Return what a judge used; what was known from before was no request and cost nothing."""
    return {
        **used.as_data(),
        "unscored_rate": used.unscored / used.asked if used.asked else None,
        "cost_eur_per_call": used.cost_eur / used.calls if used.calls else None,
        "seconds_per_call": used.seconds / used.calls if used.calls else None,
    }


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


def _value(item: Estimate) -> str:
    return "–" if item.value is None else f"{item.value:.2f}"


def _shown(item: Estimate) -> str:
    if item.value is None:
        return "–"
    if item.low is None or item.high is None:
        return f"{item.value:.3f}"
    return f"{item.value:.3f} [{item.low:.2f}, {item.high:.2f}]"
