"""A sweep of the scenarios that come with the package, beside the containers it needs and nothing else.

The sweep goes the whole way: file, matrix, items, budgets, runs, traces, rates. The bare rate is that
at which containers of the same description (world, tools, files) are opened, audited and closed, as many at
once, by one process. They take turns, a half of the containers before and a half after. Memory is that of
the largest process. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from throughput import peak_mib

from sandbox.isolation.backends import backend
from sandbox.isolation.base import Backend, Container, ContainerSpec
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.planner import Planner
from sandbox.runs.worker_pool import processes_for, spread
from sandbox.scenario.content_paths import Content, library
from sandbox.scenario.loader import Loader
from sandbox.sweeps import matrix, spec
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.lifecycle import claimed, conduct
from sandbox.sweeps.local import WATCHED, Machine, made_by
from sandbox.sweeps.store import NewSweep, Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.trace.store import Store

SCENARIOS = 20
MODELS = (
    "scripted/safe",
    "scripted/mixed?p=0.1",
    "scripted/mixed?p=0.25",
    "scripted/mixed?p=0.5",
    "scripted/mixed?p=0.9",
)


@dataclass
class Noting:
    """A back end that notes the containers that one sweep asks for, a few of each kind."""

    inner: Backend
    asked: dict[str, ContainerSpec] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the back end's name."""
        return self.inner.name

    def unavailable(self) -> str | None:
        """Return what is missing."""
        return self.inner.unavailable()

    async def open(self, spec: ContainerSpec) -> Container:
        """Start a container."""
        self.asked.setdefault(",".join(str(tool["name"]) for tool in spec.tools), spec)
        return await self.inner.open(spec)

    def reap(self) -> int:
        """Remove what was left behind."""
        return self.inner.reap()


def chosen_scenarios(loader: Loader) -> list[str]:
    """Return scenarios that have what every model here plays, and no hosts of their own."""
    found = []
    for name, folder in sorted(loader.content.scenarios().items()):
        scenario = loader.load(folder).scenario
        if not scenario.world.network and "en" in scenario.languages:
            found.append((scenario.benign, name))
    return [name for _, name in sorted(found)[:SCENARIOS]]


async def bare(chosen: Backend, specs: list[ContainerSpec], number: int, at_once: int) -> float:
    """Return the wall seconds in which so many containers are opened and closed."""
    free = asyncio.Semaphore(at_once)

    async def one(place: int) -> None:
        async with free:
            wanted = replace(specs[place % len(specs)], run_id=f"bench{place}", network=None)
            container = await chosen.open(wanted)
            await container.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for place in range(number):
            group.create_task(one(place))
    return time.perf_counter() - started


class JudgePool:
    """Sweeps in a folder."""

    def __init__(self, folder: Path, isolation: str, at_once: int) -> None:
        self.loader = Loader(Content(library()))
        self.library = MonitorLibrary(self.loader.content, self.loader.catalogue)
        self.scenarios = chosen_scenarios(self.loader)
        self.noting = Noting(backend(isolation))
        self._folder, self._at_once = folder, at_once

    def sweep(self, store: Store, models: tuple[str, ...], repeat: int) -> int:
        """Execute a sweep as the command line does, over all processors; return its runs."""
        path = self._folder / "sweep.yaml"
        data = {
            "schema": 1,
            "name": f"bench-{repeat}",
            "scenarios": self.scenarios,
            "models": list(models),
            "repeat": repeat,
            "defences": {"all": {"monitors": "scenario", "mode": "enforce"}},
        }
        path.write_text(yaml.safe_dump(data))
        chosen, document = spec.read(path)
        made = matrix.prepare(chosen, document, self.loader, self.library)
        told = chosen.model_dump(mode="json", by_alias=True)
        sweeps = Sweeps(store)
        row = sweeps.create(NewSweep(chosen.name, told, made.digests(), made.items()))
        planner = ItemPlanner(Planner(self.loader, self.library, self.noting), row.scenarios)
        planner.check()
        processes = processes_for(row.planned, self._at_once)
        with (
            spread(made_by(planner), store, processes, WATCHED) as runner,
            claimed(store, row) as claim,
        ):
            course = Course.of(sweeps, row, chosen, self._at_once, None)
            machine = Machine(runner, planner, self._at_once)
            asyncio.run(conduct(store, claim, course, machine))
        counts = sweeps.counts(row.id)[()]
        assert counts.finished == row.planned, counts
        assert not counts.failed, counts
        return row.planned


def measure(bench: JudgePool, repeat: int, at_once: int, store: Store) -> dict[str, object]:
    """Return the figures of a sweep."""
    bench.sweep(store, MODELS[:1], 1)  # imports and caches are not what is measured
    specs = list(bench.noting.asked.values())
    half = max(at_once, len(bench.scenarios) * len(MODELS) * repeat // 2)
    before = asyncio.run(bare(bench.noting.inner, specs, half, at_once))
    started = time.perf_counter()
    runs = bench.sweep(store, MODELS, repeat)
    wall = time.perf_counter() - started
    forks = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    after = asyncio.run(bare(bench.noting.inner, specs, half, at_once))
    return {
        "runs": runs,
        "wall_s": wall,
        "runs_per_s": runs / wall,
        "containers_per_s": 2 * half / (before + after),
        "peak_mib": max(peak_mib(), forks / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=4, help="100 runs each")
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--isolation", default="bubblewrap")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as name:
        bench = JudgePool(Path(name), given.isolation, given.at_once)
        with Store(f"{name}/runs.db") as store:
            figures = measure(bench, given.repeat, given.at_once, store)
    shape = {
        "isolation": given.isolation,
        "scenarios": len(bench.scenarios),
        "models": len(MODELS),
        "repeat": given.repeat,
        "at_once": given.at_once,
    }
    print(json.dumps({**shape, **figures}))


if __name__ == "__main__":
    main()
