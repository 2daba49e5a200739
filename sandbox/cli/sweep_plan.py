"""The plan of a sweep on a terminal: its matrix, and what it will probably cost and take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.api.sweep_progress import duration
from sandbox.cli.output import console, table

if TYPE_CHECKING:
    from sandbox.sweeps.estimate import Plan

_VALUES = 6
"""Values of a factor that are shown."""


def print_plan(plan: Plan, at_once: int) -> None:
    """Print a matrix, and what it will probably cost and take."""
    rows = []
    for factor, values in plan.by.items():
        shown = [f"{name} ({n})" for name, n in list(values.items())[:_VALUES]]
        more = [f"… {len(values) - _VALUES} more"] if len(values) > _VALUES else []
        rows.append((factor, len(values), ", ".join([*shown, *more])))
    table(("factor", "values", "(runs)"), rows)
    console().print()
    table(
        ("model", "runs", "tokens", "€", "kWh", "run time", "from"),
        [
            (
                item.model,
                item.runs,
                *(
                    (
                        f"{item.tokens:.0f}",
                        f"{item.cost_eur:.2f}",
                        f"{item.energy_kwh:.4g}",
                        duration(item.seconds),
                        f"{item.past} earlier runs",
                    )
                    if item.past
                    else ("?", "?", "?", "?", "no earlier runs in the store")
                ),
            )
            for item in plan.models
        ],
    )
    wall = "not known" if plan.wall_seconds is None else f"about {duration(plan.wall_seconds)}"
    console().print()
    console().print(f"{plan.runs} runs, {at_once} at once: {wall}", style="bold")
