"""What recording all effects costs: runs of 20 shell calls that each start Python, with and without.

The two take turns, run by run, so that a machine that is busy meanwhile shows in both. Without means
without the tracer; world, manifest and filter record in both.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from workload import WrappedBackend, arguments, make_workspace

from sandbox.isolation.backends import backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.worker_pool import execute
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store

CALLS = 20


async def measure(loader: Loader, runs: int, isolation: str, store: Store) -> list[float]:
    """Return the median wall seconds of a run with and without recording."""
    scenario = loader.load(loader.content.workspace / "scenarios" / "bench" / "calls")
    options = RunOptions(model="scripted/safe", monitors="all", mode="enforce")
    recording = backend(isolation)
    untraced = WrappedBackend(recording, lambda spec: replace(spec, traced=False))
    planner = Planner(loader, MonitorLibrary(loader.content, loader.catalogue), recording)
    times: list[tuple[float, ...]] = []
    for seed in range(runs + 1):
        pair = []
        for chosen in (recording, untraced):
            plan = planner.plan(scenario.instance("en", seed), options, backend=chosen)
            started = time.perf_counter()
            results = await execute([plan], store, at_once=1)
            pair.append(time.perf_counter() - started)
            assert results[0].task == "done", results[0]
        times.append(tuple(pair))
    # the first is not what is measured
    return [statistics.median(column) for column in zip(*times[1:], strict=True)]


def main() -> None:
    """Measure and print one JSON document."""
    chosen = arguments(__doc__, runs=15, isolation="bubblewrap")
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder:
        calls = (f"shell.run: {{ command: python3 -c 'print({n})' }}" for n in range(CALLS))
        loader = make_workspace(Path(folder), "shell", calls)
        with Store(f"{folder}/runs.db") as store:
            recorded, bare = asyncio.run(measure(loader, chosen.runs, chosen.isolation, store))
    figures = {"recorded_s": recorded, "unrecorded_s": bare, "ratio": recorded / bare}
    print(json.dumps({**vars(chosen), "calls": CALLS, **figures}))


if __name__ == "__main__":
    main()
