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
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from throughput import make_workspace

from sandbox.gate.approval import FixedApprover
from sandbox.gate.gate import Gate, GateSettings
from sandbox.isolation.base import Backend, Container, ContainerSpec
from sandbox.isolation.bubblewrap import Bubblewrap
from sandbox.isolation.docker import IMAGE, Docker
from sandbox.models.base import ToolCall
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.run_context import RunContext, RunInfo
from sandbox.scenario.loader import Loader
from sandbox.trace.events import GENESIS, make
from sandbox.trace.recorder import Recorder
from sandbox.trace.store import Store

HERE = Path(__file__).resolve().parent
CALLS = 500
STARTS = 10


def seconds(command: list[str], times: int) -> float:
    """Return the median wall seconds of a command."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def spec(loader: Loader, run: str) -> ContainerSpec:
    """Return what a container with the no-op toolkit needs."""
    toolkit = loader.catalogue.toolkit("noop")
    tools = tuple(tool.guest_data() for tool in toolkit.tools.values())
    return ContainerSpec(run, (toolkit,), tools, "2026-01-01T00:00:00Z", "en", {}, {})


async def calls(backend: Backend, loader: Loader, store: Store) -> tuple[float, float]:
    """Return median seconds of a call through gate and guest, and of a start to the first call."""
    tool = loader.catalogue.toolkit("noop").tools["noop.add"]
    monitors = [
        m for f in MonitorLibrary(loader.content, loader.catalogue).choose(None) for m in f.monitors
    ]
    starts = []
    container: Container | None = None
    for number in range(STARTS):
        started = time.perf_counter()
        container = await backend.open(spec(loader, f"bench{number}"))
        await container.call("noop.add", {"x": 1, "y": 2}, agent="a", timeout=10)
        starts.append(time.perf_counter() - started)
        if number < STARTS - 1:
            await container.close()
    assert container is not None
    recorder = Recorder(store, f"bench-{backend.name}")
    tools = {"a": {"noop_add": tool}}
    setting = GateSettings("enforce", 10.0)
    gate = Gate(
        container,
        tools,
        monitors,
        recorder,
        RunContext(RunInfo()),
        FixedApprover(allow=False),
        setting,
    )
    spent = []
    for number in range(CALLS):
        asked = ToolCall(f"c{number}", "noop_add", {"x": number, "y": 1})
        started = time.perf_counter()
        await gate.mediate("a", asked)
        spent.append(time.perf_counter() - started)
    await container.close()
    return statistics.median(spent), statistics.median(starts)


def bare_exec() -> float:
    """Return the median seconds of a bare ``docker exec`` of a program that does nothing."""
    command = ["docker", "run", "-d", "--rm", "--network", "none", IMAGE, "sleep", "600"]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        return seconds(["docker", "exec", name, "/bin/true"], 20)
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


def figures_of(program: str, **options: object) -> dict[str, Any]:
    """Return the figures of another program of this folder, run in a process of its own."""
    words = [
        word
        for key, value in options.items()
        for word in (f"--{key.replace('_', '-')}", str(value))
    ]
    command = [sys.executable, str(HERE / program), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


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


def rows(loader: Loader, folder: Path, *, quick: bool) -> list[tuple[str, str, str, str]]:
    """Measure all and return what, ours, the other's, the ratio."""
    found: list[tuple[str, str, str, str]] = []

    def add(
        what: str, ours: float, other: float | None, unit: Callable[[float], str], name: str
    ) -> None:
        ratio = "" if other is None else f"{other / ours:.1f}×"
        shown = "" if other is None else f"{unit(other)} {name}"
        found.append((what, unit(ours), shown, ratio))

    def ms(value: float) -> str:
        return f"{1000 * value:.2f} ms"

    backends: list[Backend] = [b for b in (Docker(), Bubblewrap()) if b.unavailable() is None]
    has_docker = any(b.name == "docker" for b in backends)
    exec_s = bare_exec() if has_docker else None
    run_s = (
        seconds(["docker", "run", "--rm", "--network", "none", IMAGE, "/bin/true"], 5)
        if has_docker
        else None
    )
    process_s = seconds(["/bin/true"], 50)
    python_s = seconds(["/usr/bin/python3", "-c", "pass"], 20)
    for backend in backends:
        with Store(str(folder / f"{backend.name}.db")) as store:
            call_s, start_s = asyncio.run(calls(backend, loader, store))
        add(f"no-op call, gate and guest, {backend.name}", call_s, exec_s, ms, "docker exec")
        add(f"no-op call, gate and guest, {backend.name}", call_s, process_s, ms, "bare process")
        add(f"start to first call, {backend.name}", start_s, run_s, ms, "docker run")
        add(f"start to first call, {backend.name}", start_s, python_s, ms, "bare Python")
    for backend in backends:
        for at_once in (1, 4, 16):
            runs = (10 if backend.name == "docker" else 60) * (1 if quick else 2)
            figures = figures_of(
                "throughput.py", isolation=backend.name, runs=runs, at_once=at_once
            )
            found.append(
                (
                    f"runs a second of 10 calls, {backend.name}, {at_once} at once",
                    f"{figures['runs_per_s']:.1f}",
                    "",
                    "",
                )
            )
    for backend in backends:
        cost = figures_of("recording.py", isolation=backend.name, runs=5 if quick else 15)
        recorded, without = cost["recorded_s"], cost["unrecorded_s"]
        add(
            f"20 Python starts, effects recorded, {backend.name}",
            recorded,
            without,
            ms,
            "unrecorded",
        )
    found.append(("events stored a second", f"{stored_events(folder):,.0f}", "", ""))
    few, many = (
        figures_of("throughput.py", runs=n, at_once=4)["peak_mib"]
        for n in (100, 400 if quick else 2000)
    )
    found.append(
        (
            f"memory at 100 and {400 if quick else 2000} runs",
            f"{few:.0f} MiB",
            f"{many:.0f} MiB",
            "",
        )
    )
    return found + [row for backend in backends for row in sweep_rows(backend.name, quick=quick)]


def sweep_rows(isolation: str, *, quick: bool) -> list[tuple[str, str, str, str]]:
    """Measure sweeps of one back end; of bubblewrap at two sizes, which tell whether memory grows."""
    sizes = (1,) if isolation == "docker" else (1, 2 if quick else 6)
    told = [figures_of("sweeping.py", isolation=isolation, repeat=size) for size in sizes]
    first, last = told[0], told[-1]
    what = f"sweep, {last['scenarios']} scenarios × {last['models']} models × {last['repeat']}"
    rates = last["runs_per_s"], last["containers_per_s"]
    found = [
        (
            f"{what}, runs a second, {isolation}",
            f"{rates[0]:.1f}",
            f"{rates[1]:.1f} bare containers",
            f"{rates[0] / rates[1]:.2f}×",
        )
    ]
    if last is not first:
        memory = f"{first['peak_mib']:.0f} MiB", f"{last['peak_mib']:.0f} MiB"
        found.append((f"memory of sweeps of {first['runs']} and {last['runs']} runs", *memory, ""))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sandbox-bench-") as name:
        folder = Path(name)
        found = rows(make_workspace(folder / "workspace", 1), folder, quick=given.quick)
    if given.json:
        print(
            json.dumps(
                [dict(zip(("what", "ours", "other", "ratio"), row, strict=True)) for row in found]
            )
        )
        return
    table = Table(box=None, header_style="bold")
    for heading in ("", "sandbox", "beside", "faster by"):
        table.add_column(heading, no_wrap=True)
    for row in found:
        table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
