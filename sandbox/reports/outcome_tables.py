"""Outcomes of a set of runs as a report tells them: by subject, family, scenario and risk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.analysis import clustered, pass_at_k
from sandbox.analysis.outcomes import METRICS, SEVERITIES, UNSAFE, Metric, Observed, subjects
from sandbox.analysis.pass_at_k import Item
from sandbox.reports.collect import Facts
from sandbox.scenario.taxonomy import taxonomies

TRIES = (1, 2, 3, 5, 10, 20)
"""Numbers of tries that are told, as far as there are repetitions."""


def by_subject(runs: Sequence[Observed]) -> list[dict[str, object]]:
    """Return the figures of each subject: metrics, families, tries, tokens, cost, energy."""
    parts = subjects(runs)
    return [
        {
            "label": subject.label(parts),
            "model": subject.model,
            "defence": subject.defence,
            "parameters": subject.parameters,
            "scaffold": subject.scaffold,
            "runs": len(mine),
            "task": dict(Counter(r.task for r in mine)),
            "safety": dict(Counter(r.safety for r in mine if r.task != "error")),
            "metrics": {metric.name: measured(metric, mine, "family") for metric in METRICS},
            "families": _families(mine),
            "tries": _tries(mine),
            **spent(mine),
        }
        for subject, mine in sorted(parts.items())
    ]


def measured(metric: Metric, runs: Iterable[Observed], by: str) -> dict[str, object]:
    """Return a rate with its Wilson interval, and the one clustered by ``family`` or ``scenario``."""
    found = metric.select(runs)
    rate = metric.rate(found).as_data()
    if not found:
        return {**rate, "rate": None, "ci95": None, "clustered": None}
    wide = clustered.rate([metric.holds(r) for r in found], [getattr(r, by) for r in found])
    return {**rate, "clustered": {"by": by, **wide.as_data()} if wide.low is not None else None}


def _families(runs: Sequence[Observed]) -> list[dict[str, object]]:
    names = dict.fromkeys(r.family for r in runs)
    return [
        {
            "family": name,
            "scenarios": len({r.scenario for r in runs if r.family == name}),
            "unsafe": measured(UNSAFE, [r for r in runs if r.family == name], "scenario"),
        }
        for name in sorted(names)
    ]


def _tries(runs: Sequence[Observed]) -> list[dict[str, object]]:
    """Return the chances that harm is done in any, or in none, of k tries."""
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for run in UNSAFE.select(runs):
        counts[run.item].append(UNSAFE.holds(run))
    bad = [Item(sum(hits), len(hits), item[0]) for item, hits in counts.items()]
    good = [Item(item.total - item.hits, item.total, item.cluster) for item in bad]
    made = []
    for k in TRIES:
        reached, safe = pass_at_k.any_hit(bad, k), pass_at_k.all_hits(good, k)
        if reached is None or safe is None or 2 * reached.items < len(bad):
            break
        made.append({"k": k, "any_unsafe": reached.as_data(), "always_safe": safe.as_data()})
    return made


def by_scenario(
    runs: Sequence[Observed], facts: Mapping[str, Facts]
) -> Sequence[Mapping[str, object]]:
    """Return the rate of unsafe runs of every dangerous scenario, for each subject."""
    parts = subjects(runs)
    names = sorted({r.scenario for r in runs if not r.benign})
    made = []
    for name in names:
        of = {
            subject.label(parts): UNSAFE.rate(r for r in mine if r.scenario == name).as_data()
            for subject, mine in sorted(parts.items())
        }
        fact = facts.get(name)
        made.append(
            {
                "scenario": name,
                "title": dict(fact.titles) if fact else {},
                "severity": fact.severity if fact else "",
                "tags": list(fact.tags) if fact else [],
                "unsafe": of,
            }
        )
    return made


def matrix(runs: Sequence[Observed], facts: Mapping[str, Facts]) -> Sequence[Mapping[str, object]]:
    """Return the risk matrix: for each entry of each taxonomy that was tested, by severity.

    A cell holds the rate of unsafe runs of all subjects, and the highest rate of one of them.
    """
    parts = subjects(runs)
    dangerous = UNSAFE.select(runs)
    made = []
    for name, taxonomy in taxonomies().items():
        rows = []
        for entry, title in taxonomy.entries.items():
            tag = f"{name}:{entry}"
            mine = [r for r in dangerous if r.scenario in facts and tag in facts[r.scenario].tags]
            if mine:
                cells = {s: _cell([r for r in mine if r.severity == s], parts) for s in SEVERITIES}
                rows.append({"id": entry, "title": title, "cells": cells})
        if rows:
            made.append({"taxonomy": name, "title": taxonomy.title, "entries": rows})
    return made


def _cell(runs: Sequence[Observed], among: Iterable[Any]) -> dict[str, Any] | None:
    if not runs:
        return None
    rates = {subject: UNSAFE.rate(mine) for subject, mine in subjects(runs).items()}
    worst = max(rates, key=lambda subject: rates[subject].share)
    whole = UNSAFE.rate(runs).as_data()
    return {**whole, "worst": rates[worst].share, "worst_subject": worst.label(among)}


def coverage(runs: Sequence[Observed], facts: Mapping[str, Facts]) -> list[dict[str, object]]:
    """Return what of each taxonomy was tested, and what was not."""
    ran = Counter(r.scenario for r in runs if r.task != "error" and not r.benign)
    made = []
    for name, taxonomy in taxonomies().items():
        tested, untested = [], []
        for entry, title in taxonomy.entries.items():
            tag = f"{name}:{entry}"
            held = [s for s in ran if s in facts and tag in facts[s].tags]
            if held:
                number = sum(ran[s] for s in held)
                tested.append({"id": entry, "title": title, "scenarios": len(held), "runs": number})
            else:
                untested.append({"id": entry, "title": title})
        made.append(
            {
                "taxonomy": name,
                "title": taxonomy.title,
                "version": taxonomy.version,
                "entries": len(taxonomy.entries),
                "tested": tested,
                "untested": untested,
            }
        )
    return made


def spent(runs: Sequence[Observed]) -> dict[str, object]:
    """Return tokens, cost, time and energy; the energy of the runs for which it is known."""
    known = [r.energy_kwh for r in runs if r.energy_kwh is not None]
    return {
        "tokens": sum(r.tokens for r in runs),
        "cost_eur": round(sum(r.cost_eur for r in runs), 6),
        "seconds": round(sum(r.seconds for r in runs), 3),
        "energy_kwh": sum(known) if known else None,
        "energy_known": len(known),
    }
