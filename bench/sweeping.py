"""A sweep of the scenarios that come with the package, beside the containers it needs and nothing else.

The sweep goes the whole way: file, matrix, items, budgets, runs, traces, rates. The bare rate is that
at which containers of the same description (world, tools, files) are opened, audited and closed, as many at
once, by one process. They take turns, a half of the containers before and a half after. Memory is that of
the largest process. Prints one JSON document.
"""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
import time
from dataclasses import replace

from workload import WrappedBackend, arguments, peak_mib

import sandbox
from sandbox.isolation.backends import backend
from sandbox.isolation.base import Backend, ContainerSpec
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.worker_pool import execute
from sandbox.scenario.content_paths import Content, library
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store

SCENARIOS = 20
MODELS = ("scripted/safe", *(f"scripted/mixed?p={share}" for share in (0.1, 0.25, 0.5, 0.9)))


def names_of(loader: Loader) -> list[str]:
    """Return scenarios that have what every model here plays, and no hosts of their own."""
    found = []
    for name, folder in sorted(loader.content.scenarios().items()):
        scenario = loader.load(folder).scenario
        if not scenario.world.network and "en" in scenario.languages:
            found.append((scenario.benign, name))
    return [name for _, name in sorted(found)[:SCENARIOS]]


def specs_of(loader: Loader, names: list[str], inner: Backend, store: Store) -> list[ContainerSpec]:
    """Return what the containers of scenarios are made from, each kind once."""
    specs: dict[str, ContainerSpec] = {}

    def note(spec: ContainerSpec) -> ContainerSpec:
        specs.setdefault(",".join(str(tool["name"]) for tool in spec.tools), spec)
        return spec

    monitors = MonitorLibrary(loader.content, loader.catalogue)
    planner = Planner(loader, monitors, WrappedBackend(inner, note))
    options = RunOptions(model="scripted/safe", monitors="scenario", mode="enforce")
    asyncio.run(execute(planner.plans(names, options), store, at_once=1))
    return [*specs.values()]


async def bare(inner: Backend, specs: list[ContainerSpec], number: int, at_once: int) -> float:
    """Return the wall seconds in which so many containers are opened and closed."""
    free = asyncio.Semaphore(at_once)

    async def one(place: int) -> None:
        async with free:
            spec = replace(specs[place % len(specs)], run_id=f"bench{place}", network=None)
            await (await inner.open(spec)).close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for place in range(number):
            group.create_task(one(place))
    return time.perf_counter() - started


def main() -> None:
    """Measure and print; a repeat is 100 runs."""
    chosen = arguments(__doc__, repeat=4, at_once=6, isolation="bubblewrap")
    loader, inner = Loader(Content(library())), backend(chosen.isolation)
    names = names_of(loader)
    half = max(chosen.at_once, len(names) * len(MODELS) * chosen.repeat // 2)

    def sweep(models: tuple[str, ...], repeat: int) -> int:
        data = {
            "schema": 1,
            "name": f"bench-{repeat}",
            "scenarios": names,
            "models": [*models],
            "repeat": repeat,
            "isolation": chosen.isolation,
            "defences": {"all": {"monitors": "scenario", "mode": "enforce"}},
        }
        where = {"workspace": library(), "store": store, "progress": False}
        counts = sandbox.sweep(data, at_once=chosen.at_once, **where).counts
        assert counts.finished == len(models) * len(names) * repeat, counts
        return counts.finished

    with (
        tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder,
        Store(f"{folder}/runs.db") as store,
    ):
        specs = specs_of(loader, names, inner, store)
        sweep(MODELS[:1], 1)  # imports and caches are not what is measured
        bare_s = asyncio.run(bare(inner, specs, half, chosen.at_once))
        started = time.perf_counter()
        runs = sweep(MODELS, chosen.repeat)
        wall = time.perf_counter() - started
        bare_s += asyncio.run(bare(inner, specs, half, chosen.at_once))
    figures = {
        "scenarios": len(names),
        "models": len(MODELS),
        "runs": runs,
        "wall_s": wall,
        "runs_per_s": runs / wall,
        "containers_per_s": 2 * half / bare_s,
        "peak_mib": max(peak_mib(), peak_mib(resource.RUSAGE_CHILDREN)),
    }
    print(json.dumps({**vars(chosen), **figures}))


if __name__ == "__main__":
    main()
