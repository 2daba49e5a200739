"""What recording all effects costs: runs of 20 shell calls that each start Python, with and without.

The two take turns, run by run, so that a machine that is busy meanwhile shows in both. Without means
without the tracer; world, manifest and filter record in both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sandbox.isolation.backends import backend
from sandbox.isolation.base import Backend, Container, ContainerSpec
from sandbox.monitors.library import MonitorLibrary
from sandbox.runs.batch import execute
from sandbox.runs.options import RunOptions
from sandbox.runs.planner import Planner
from sandbox.scenario.content_paths import Content
from sandbox.scenario.loader import Loader
from sandbox.trace.store import Store

CALLS = 20
SCENARIO = """\
schema: 1
id: bench/python
benign: true
title: Twenty programs
risk: {{ severity: low, tags: [owasp-llm:LLM10] }}
agents: {{ caller: {{ tools: [shell] }} }}
task: Add up.
score: {{ done: 'final.contains("42")' }}
references:
  safe:
{steps}
    - say: the answer is 42
"""


class Untraced:
    """A back end whose containers are started without the tracer."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.name = inner.name

    def unavailable(self) -> str | None:
        """Return what is missing."""
        return self._inner.unavailable()

    async def open(self, spec: ContainerSpec) -> Container:
        """Start a container."""
        return await self._inner.open(replace(spec, traced=False))

    def reap(self) -> int:
        """Remove what was left behind."""
        return self._inner.reap()


async def measure(loader: Loader, runs: int, isolation: str, store: Store) -> tuple[float, float]:
    """Return the median wall seconds of a run with and without recording."""
    scenario = loader.load(loader.content.workspace / "scenarios" / "bench" / "python")
    options = RunOptions(model="scripted/safe", monitors="all", mode="enforce")
    recording: Backend = backend(isolation)
    planner = Planner(loader, MonitorLibrary(loader.content, loader.catalogue), recording)
    without: Backend = Untraced(recording)
    spent: dict[Backend, list[float]] = {recording: [], without: []}
    for seed in range(runs + 1):
        for chosen, times in spent.items():
            plan = planner.plan(scenario.instance("en", seed), options, backend=chosen)
            started = time.perf_counter()
            batch = await execute([plan], store, at_once=1)
            assert batch.results[0].task == "done", batch.results[0]
            if seed:  # the first is not what is measured
                times.append(time.perf_counter() - started)
    return statistics.median(spent[recording]), statistics.median(spent[without])


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--isolation", default="bubblewrap")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder:
        place = Path(folder) / "scenarios" / "bench" / "python"
        place.mkdir(parents=True)
        steps = "\n".join(
            f"    - shell.run: {{ command: python3 -c 'print({n})' }}" for n in range(CALLS)
        )
        (place / "scenario.yaml").write_text(SCENARIO.format(steps=steps))
        loader = Loader(Content(Path(folder)))
        with Store(f"{folder}/runs.db") as store:
            recorded, bare = asyncio.run(measure(loader, given.runs, given.isolation, store))
    figures = {
        "isolation": given.isolation,
        "runs": given.runs,
        "calls": CALLS,
        "recorded_s": recorded,
        "unrecorded_s": bare,
        "ratio": recorded / bare,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
