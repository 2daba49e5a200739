"""Runs of so many tool calls each, in real containers, monitors on, trace stored.

Prints one JSON document. Called by ``bench/run.py`` and ``bench/peers.py`` in a process of its own,
so that memory is measured clean.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path

from workload import arguments, make_workspace, peak_mib

from sandbox.isolation.backends import backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.run_plan import RunPlan
from sandbox.runs.worker_pool import Runner, execute, processes_for, spread
from sandbox.trace.store import Store


async def measure(plans: list[RunPlan], store: Store, at_once: int, runner: Runner) -> float:
    """Return the wall seconds of runs; imports and caches are not what is measured."""
    await execute(plans[:at_once], store, at_once=at_once, runner=runner)
    started = time.perf_counter()
    results = await execute(plans, store, at_once=at_once, runner=runner)
    seconds = time.perf_counter() - started
    assert all(result.task == "done" for result in results), results[0]
    return seconds


def main() -> None:
    """Measure and print; processes are as many as ``sandbox run`` would take if none are named."""
    chosen = arguments(__doc__, runs=200, calls=10, at_once=6, isolation="bubblewrap", processes=0)
    chosen.processes = chosen.processes or processes_for(chosen.runs, chosen.at_once)
    options = RunOptions(model="scripted/safe", monitors="all", mode="enforce", repeat=chosen.runs)
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder:
        calls = (f"noop.add: {{ x: {number}, y: 1 }}" for number in range(chosen.calls))
        loader = make_workspace(Path(folder), "noop", calls)
        library = MonitorLibrary(loader.content, loader.catalogue)
        plans = Planner(loader, library, backend(chosen.isolation)).plans(["bench/calls"], options)
        with (
            Store(f"{folder}/runs.db") as store,
            spread(plans.__getitem__, store, chosen.processes, ()) as runner,
        ):
            wall = asyncio.run(measure(plans, store, chosen.at_once, runner))
    rates = {"runs_per_s": chosen.runs / wall, "calls_per_s": chosen.runs * chosen.calls / wall}
    print(json.dumps({**vars(chosen), "wall_s": wall, **rates, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
