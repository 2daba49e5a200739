"""Sweeps for tests: a file of any content, entered and executed as the command line does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.isolation.base import Backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.planner import Planner
from sandbox.runs.worker_pool import Here
from sandbox.scenario.loader import Loader
from sandbox.sweeps import matrix, spec
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.lifecycle import claim_sweep, conduct
from sandbox.sweeps.local import Machine, plan_maker
from sandbox.sweeps.matrix import Matrix
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import NewSweep, Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store
from tests.support.runner import SCENARIO

MINIMAL: dict[str, Any] = {
    "schema": 1,
    "name": "nightly",
    "scenarios": [SCENARIO],
    "models": ["scripted/safe"],
}


@dataclass(frozen=True)
class Sweeper:
    """Makes sweeps and executes them."""

    folder: Path
    loader: Loader
    library: MonitorLibrary
    backend: Backend
    store: Store

    @property
    def planner(self) -> Planner:
        """Makes the plans of its runs."""
        return Planner(self.loader, self.library, self.backend)

    def file(self, **changes: Any) -> Path:
        """Write a sweep file: the smallest one, with changes."""
        path = self.folder / "sweep.yaml"
        path.write_text(yaml.safe_dump({**MINIMAL, **changes}, sort_keys=False))
        return path

    def matrix(self, **changes: Any) -> Matrix:
        """Return the matrix of a sweep file."""
        chosen, document = spec.read(self.file(**changes))
        return matrix.prepare(chosen, document, self.loader, self.library)

    def create(self, **changes: Any) -> SweepRow:
        """Enter a sweep."""
        made = self.matrix(**changes)
        data = made.spec.model_dump(mode="json", by_alias=True)
        new = NewSweep(made.spec.name, data, made.digests(), made.items())
        return Sweeps(self.store).create(new)

    async def execute(
        self, row: SweepRow, at_once: int = 3, seen: Callable[[Course], None] | None = None
    ) -> SweepRow:
        """Execute what is left of a sweep."""
        sweeps = Sweeps(self.store)
        row = sweeps.get(row.id)
        chosen = SweepFile.model_validate(row.spec)
        planner = ItemPlanner(self.planner, row.scenarios, chosen.retries)
        with claim_sweep(self.store, row) as claim:
            course = Course.of(sweeps, row, chosen, at_once, None)
            if seen:
                seen(course)
            machine = Machine(Here(plan_maker(planner), self.store), planner, at_once)
            return await conduct(self.store, claim, course, machine)

    def outcomes(self, row: SweepRow) -> list[tuple[Any, ...]]:
        """Return what came of each item, in order."""
        items = Sweeps(self.store).items(row.id)
        return [(item.key, item.status, item.task, item.safety) for item in items]


def items(count: int, **factors: Any) -> Iterator[dict[str, Any]]:
    """Yield so many planned runs of one scenario."""
    for number in range(count):
        yield {
            "key": f"k{number}",
            "scenario": SCENARIO,
            "family": "injection",
            "benign": False,
            "model": "scripted/safe",
            "provider": "scripted",
            "defence": "scenario",
            "mode": "observe",
            "lang": "en",
            "parameters": "default",
            "params": {},
            "repetition": number,
            "seed": number,
            **factors,
        }


def create(store: Store, count: int = 3, **factors: Any) -> SweepRow:
    """Enter a sweep."""
    new = NewSweep("nightly", {"name": "nightly"}, {SCENARIO: "d"}, items(count, **factors))
    return Sweeps(store).create(new)
