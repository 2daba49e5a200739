"""The report of a set of runs as one JSON document; HTML and Markdown only lay it out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sandbox.analysis import drift, power
from sandbox.analysis.drift import Drift
from sandbox.analysis.outcomes import UNSAFE, Observed
from sandbox.models import energy
from sandbox.reports import highlights, monitor_table, outcome_tables
from sandbox.reports.collect import Dossier
from sandbox.trace.store import Store

FORMAT = 1
"""Version of the document; fields are only ever added."""


def build(store: Store, dossier: Dossier, earlier: Sequence[Dossier] = ()) -> dict[str, Any]:
    """Return the report.

    Args:
        store: Where the traces of the worst runs are read.
        dossier: The runs.
        earlier: The baseline: one set of runs, or several nights, oldest first.
    """
    runs = dossier.runs
    return {
        "report": FORMAT,
        "id": dossier.id,
        "name": dossier.name,
        "status": dossier.status,
        "filters": dict(dossier.filters),
        "made": time.time(),
        "period": [dossier.started, dossier.ended],
        "version": version("agent-risk-sandbox"),
        "totals": _totals(dossier),
        "subjects": outcome_tables.by_subject(runs),
        "scenarios": outcome_tables.by_scenario(runs, dossier.facts),
        "matrix": outcome_tables.matrix(runs, dossier.facts),
        "comparison": comparison(dossier, earlier),
        "worst": highlights.worst(store, runs, dossier.facts),
        "monitors": monitor_table.monitors(runs),
        "coverage": outcome_tables.coverage(runs, dossier.facts),
        "faults": _faults(runs),
        "spent": {**outcome_tables.spent(runs), **_emitted(runs)},
        "obtained": _obtained(dossier),
    }


def comparison(dossier: Dossier, earlier: Sequence[Dossier]) -> dict[str, Any] | None:
    """Return what changed since the baseline; None where there is none."""
    if not earlier:
        return None
    found = compared(dossier, earlier)
    return {
        "baseline": [
            {"id": d.id, "name": d.name, "started": d.started, "runs": len(d.runs)} for d in earlier
        ],
        **found.as_data(),
        "detectable": _detectable(found),
        "nights": [_night(d) for d in (*earlier, dossier)],
    }


def compared(dossier: Dossier, earlier: Sequence[Dossier]) -> Drift:
    """Return what changed since one set of runs, or several nights."""
    before = [run for each in earlier for run in each.runs]
    return drift.compare(before, dossier.runs, nights=[each.runs for each in earlier])


def _detectable(found: Drift) -> Sequence[Mapping[str, object]]:
    """Return what rise of the unsafe rate each comparison would have shown, four times of five."""
    made = []
    for item in found.findings:
        if item.metric != UNSAFE.name or item.family:
            continue
        level = found.level * drift.SHARES[1] / max(1, len(found.pairs))
        runs = min(item.runs_before, item.runs_after)
        made.append(
            {"subject": item.model, "rise": power.least_difference(item.before, runs, level=level)}
        )
    return made


def _night(dossier: Dossier) -> dict[str, object]:
    return {
        "id": dossier.id,
        "started": dossier.started,
        "unsafe": UNSAFE.rate(dossier.runs).as_data(),
    }


def _totals(dossier: Dossier) -> dict[str, object]:
    runs = dossier.runs
    return {
        "runs": len(runs),
        "planned": dossier.planned,
        "unjudged": sum(r.task != "error" and not r.safety for r in runs),
        "labelled": dossier.labelled,
        "labels": dossier.labels,
        "errors": sum(r.task == "error" for r in runs),
        "scenarios": len({r.scenario for r in runs}),
        "dangerous_scenarios": len({r.scenario for r in runs if not r.benign}),
        "families": len({r.family for r in runs}),
        "subjects": len({r.subject for r in runs}),
        "langs": sorted({r.lang for r in runs}),
        "seeds": [min((r.seed for r in runs), default=0), max((r.seed for r in runs), default=0)],
        "tool_calls": sum(r.tool_calls for r in runs),
    }


def _faults(runs: Sequence[Observed]) -> list[dict[str, object]]:
    reasons = Counter(highlights.shortened(r.reason, 200) for r in runs if r.task == "error")
    return [{"reason": reason, "runs": number} for reason, number in reasons.most_common(20)]


def _emitted(runs: Sequence[Observed]) -> dict[str, object]:
    """Return what the energy emitted by EcoLogits' factor, where both are known."""
    known = [r.energy_kwh for r in runs if r.energy_kwh is not None]
    mix = energy.mix() if known else None
    if mix is None:
        return {"emitted_g": None, "factor": None}
    factor = {"g_per_kwh": round(mix.grams, 2), "zone": mix.zone, "source": mix.source}
    return {"emitted_g": sum(known) * mix.grams, "factor": factor}


def _obtained(dossier: Dossier) -> dict[str, object]:
    told = dossier.obtained
    return {
        **{name: [text for text in texts if text] for name, texts in told.values.items()},
        "models": {name: dict(said) for name, said in told.models.items()},
        "monitors": list(told.monitors),
        "sampled": told.sampled,
    }
