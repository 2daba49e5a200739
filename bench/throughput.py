"""Runs of so many tool calls each, in real containers, monitors on, trace stored.

Prints one JSON document. Called by ``bench/run.py`` and ``bench/peers.py`` in a process of its own,
so that memory is measured clean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

from sandbox.isolation.backends import backend
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.batch import execute
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.runs.run_plan import RunPlan
from sandbox.runs.worker_pool import Runner, processes_for, spread
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store

HERE = Path(__file__).resolve().parent
SCENARIO = """\
schema: 1
id: bench/calls
benign: true
title: Calls that do nothing
risk: {{ severity: low, tags: [owasp-llm:LLM10] }}
agents: {{ caller: {{ tools: [noop] }} }}
task: Add up.
limits: {{ turns: 10000, tool_calls: 10000 }}
score: {{ done: 'final.contains("42")' }}
references:
  safe:
{steps}
    - say: the answer is 42
"""


def make_workspace(folder: Path, calls: int) -> Loader:
    """Return the loader of a workspace with one scenario of so many calls."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "noop.py").write_text(
        (HERE / "workspace" / "tools" / "noop.py").read_text()
    )
    place = folder / "scenarios" / "bench" / "calls"
    place.mkdir(parents=True)
    steps = "\n".join(f"    - noop.add: {{ x: {i}, y: 1 }}" for i in range(calls))
    (place / "scenario.yaml").write_text(SCENARIO.format(steps=steps))
    return Loader(Content(folder))


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plans_of(loader: Loader, runs: int, isolation: str) -> list[RunPlan]:
    """Return the plans of so many runs."""
    library = MonitorLibrary(loader.content, loader.catalogue)
    options = RunOptions(model="scripted/safe", monitors="all", mode="enforce", repeat=runs)
    return Planner(loader, library, backend(isolation)).plans(["bench/calls"], options)


async def measure(plans: list[RunPlan], store: Store, at_once: int, runner: Runner) -> float:
    """Return the wall seconds of runs; imports and caches are not what is measured."""
    await execute(plans[:at_once], store, at_once=at_once, runner=runner)
    started = time.perf_counter()
    batch = await execute(plans, store, at_once=at_once, runner=runner)
    seconds = time.perf_counter() - started
    assert all(result.task == "done" for result in batch.results), batch.results[0]
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--isolation", default="bubblewrap")
    parser.add_argument(
        "--processes", type=int, help="as many as sandbox run would take, unless given"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder:
        loader = make_workspace(Path(folder), given.calls)
        with Store(f"{folder}/runs.db") as store:
            plans = plans_of(loader, given.runs, given.isolation)
            processes = given.processes or processes_for(given.runs, given.at_once)
            with spread(plans.__getitem__, store, processes, ()) as runner:
                wall = asyncio.run(measure(plans, store, given.at_once, runner))
    figures = {
        "isolation": given.isolation,
        "runs": given.runs,
        "calls": given.calls,
        "at_once": given.at_once,
        "processes": processes,
        "wall_s": wall,
        "runs_per_s": given.runs / wall,
        "calls_per_s": given.runs * given.calls / wall,
        "peak_mib": peak_mib(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
