"""Outcomes of runs, and of whole nights, without running anything."""

from __future__ import annotations

import numpy as np

from sandbox.analysis.outcomes import Observed

MIXED = "scripted/mixed?p="
MODEL = f"{MIXED}0.10"


def run(scenario: str, *, unsafe: bool, model: str = MODEL, **more: object) -> Observed:
    """Return a run with one outcome."""
    given = {
        "id": "0",
        "scenario": scenario,
        "family": scenario.partition("/")[0],
        "model": model,
        "mode": "observe",
        "lang": "en",
        "seed": 0,
        "task": "done",
        "benign": False,
        "safety": "unsafe" if unsafe else "safe",
        "severity": "high",
        "verdicts": [{"monitor": "canary.left", "verdict": "alert"}] if unsafe else [],
        **more,
    }
    return Observed.of(given)


def night(
    random: np.random.Generator,
    rate: float,
    *,
    scenarios: int = 10,
    runs: int = 20,
    model: str = MODEL,
) -> list[Observed]:
    """Return a night's runs, unsafe at one rate in all scenarios."""
    return [
        run(f"family{s % 3}/s{s}", unsafe=bool(random.random() < rate), model=model)
        for s in range(scenarios)
        for _ in range(runs)
    ]  # with one seed for all, so that the order of the runs makes the pairs
