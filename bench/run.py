"""What the sandbox costs, side by side in one run with what it is measured against.

Calls through gate and guest against a bare ``docker exec``; start to first call against a bare
``docker run``; runs a second at 1, 4 and 16 at once; runs of 20 shell calls that start Python, with effects recorded
and without; events stored a second; memory at 100 and 2,000 runs; a sweep's runs a second against the bare rate of
the containers it needs, and its memory at two sizes. Medians; a machine that does something else meanwhile shows in all columns alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from workload import figures_of, make_workspace

from sandbox.gate.approval import FixedApprover
from sandbox.gate.gate import Gate, GateSettings
from sandbox.isolation.base import Backend, ContainerSpec
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.isolation.docker import IMAGE, Docker
from sandbox.models.base import ToolCall
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.scenario.loader import Loader
from sandbox.trace.events import GENESIS, make
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store

CALLS = 500
STARTS = 10
BARE = ["docker", "run", "--rm", "--network", "none"]


class Row(NamedTuple):
    """A line of the table."""

    what: str
    ours: str
    other: str = ""
    ratio: str = ""


def faster(what: str, ours: float, other: float, name: str) -> Row:
    """Return the line of two times in seconds."""
    ms = f"{1000 * ours:.2f} ms", f"{1000 * other:.2f} ms {name}"
    return Row(what, *ms, f"{other / ours:.1f}×")


def seconds(command: list[str], times: int) -> float:
    """Return the median wall seconds of a command."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found.append(time.perf_counter() - started)
    return statistics.median(found)


async def calls(backend: Backend, loader: Loader, store: Store) -> tuple[float, float]:
    """Return median seconds of a call through gate and guest, and of a start to the first call."""
    toolkit = loader.catalogue.toolkit("noop")
    tool = toolkit.tools["noop.add"]
    families = MonitorLibrary(loader.content, loader.catalogue).choose(None)
    starts, spent = [], []
    for number in range(STARTS):
        tools = (tool.guest_data(),)
        spec = ContainerSpec(
            f"bench{number}", (toolkit,), tools, "2026-01-01T00:00:00Z", "en", {}, {}
        )
        started = time.perf_counter()
        container = await backend.open(spec)
        await container.call("noop.add", {"x": 1, "y": 2}, agent="a", timeout=10)
        starts.append(time.perf_counter() - started)
        if number < STARTS - 1:
            await container.close()
    gate = Gate(
        container,
        {"a": {"noop_add": tool}},
        [monitor for family in families for monitor in family.monitors],
        Recorder(store, f"bench-{backend.name}"),
        RunContext(RunInfo()),
        FixedApprover(allow=False),
        GateSettings("enforce", 10.0),
    )
    for number in range(CALLS):
        call = ToolCall(f"c{number}", "noop_add", {"x": number, "y": 1})
        started = time.perf_counter()
        await gate.mediate("a", call)
        spent.append(time.perf_counter() - started)
    await container.close()
    return statistics.median(spent), statistics.median(starts)


def bare_exec() -> float:
    """Return the median seconds of a bare ``docker exec`` of a program that does nothing."""
    command = [*BARE, "-d", IMAGE, "sleep", "600"]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        return seconds(["docker", "exec", name, "/bin/true"], 20)
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


def stored_events(folder: Path) -> float:
    """Return events stored a second, in groups of ten."""
    chain, head = [], GENESIS
    for number in range(20_000):
        chain.append(
            make("bench", number, 0.0, "tool.result", "a", '{"call":"c1","text":"ok"}', head)
        )
        head = chain[-1].hash
    with Store(str(folder / "events.db")) as store:
        started = time.perf_counter()
        for first in range(0, len(chain), 10):
            store.append(chain[first : first + 10], [])
        return len(chain) / (time.perf_counter() - started)


def call_rows(backends: list[Backend], folder: Path) -> Iterator[Row]:
    """Measure single calls and starts."""
    loader = make_workspace(folder / "workspace", "noop", ["noop.add: { x: 0, y: 1 }"])
    call = {"bare process": seconds(["/bin/true"], 50)}
    start = {"bare Python": seconds(["/usr/bin/python3", "-c", "pass"], 20)}
    if any(backend.name == "docker" for backend in backends):
        call["docker exec"] = bare_exec()
        start["docker run"] = seconds([*BARE, IMAGE, "/bin/true"], 5)
    others = {"no-op call, gate and guest": call, "start to first call": start}
    for backend in backends:
        with Store(str(folder / f"{backend.name}.db")) as store:
            times = asyncio.run(calls(backend, loader, store))
        for (what, beside), ours in zip(others.items(), times, strict=True):
            for name, other in beside.items():
                yield faster(f"{what}, {backend.name}", ours, other, name)


def run_rows(isolation: str, *, quick: bool) -> Iterator[Row]:
    """Measure whole runs of a back end."""
    runs = (10 if isolation == "docker" else 60) * (1 if quick else 2)
    for at_once in (1, 4, 16):
        figures = figures_of("throughput.py", isolation=isolation, runs=runs, at_once=at_once)
        what = f"runs a second of 10 calls, {isolation}, {at_once} at once"
        yield Row(what, f"{figures['runs_per_s']:.1f}")
    cost = figures_of("recording.py", isolation=isolation, runs=5 if quick else 15)
    what = f"20 Python starts, effects recorded, {isolation}"
    yield faster(what, cost["recorded_s"], cost["unrecorded_s"], "unrecorded")


def sweep_rows(isolation: str, *, quick: bool) -> Iterator[Row]:
    """Measure sweeps of a back end; of bubblewrap at two sizes, which tell whether memory grows."""
    sizes = (1,) if isolation == "docker" else (1, 2 if quick else 6)
    sweeps = [figures_of("sweeping.py", isolation=isolation, repeat=size) for size in sizes]
    first, last = sweeps[0], sweeps[-1]
    what = f"sweep, {last['scenarios']} scenarios × {last['models']} models × {last['repeat']}"
    ours, bare = last["runs_per_s"], last["containers_per_s"]
    what = f"{what}, runs a second, {isolation}"
    yield Row(what, f"{ours:.1f}", f"{bare:.1f} bare containers", f"{ours / bare:.2f}×")
    if last is not first:
        memory = f"{first['peak_mib']:.0f} MiB", f"{last['peak_mib']:.0f} MiB"
        yield Row(f"memory of sweeps of {first['runs']} and {last['runs']} runs", *memory)


def rows(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure all."""
    backends = [each for each in (Docker(), Bubblewrap()) if each.unavailable() is None]
    yield from call_rows(backends, folder)
    for backend in backends:
        yield from run_rows(backend.name, quick=quick)
    yield Row("events stored a second", f"{stored_events(folder):,.0f}")
    sizes = 100, 400 if quick else 2000
    peaks = [figures_of("throughput.py", runs=size, at_once=4)["peak_mib"] for size in sizes]
    yield Row(f"memory at {sizes[0]} and {sizes[1]} runs", *(f"{peak:.0f} MiB" for peak in peaks))
    for backend in backends:
        yield from sweep_rows(backend.name, quick=quick)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as folder:
        found = list(rows(Path(folder), quick=chosen.quick))
    if chosen.json:
        print(json.dumps([row._asdict() for row in found]))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("", "sandbox", "beside", "faster by"):
        table.add_column(heading, no_wrap=True)
    for row in found:
        table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
