"""The same workload in Inspect, in an environment of its own: runs of tool calls with a scripted model.

Each of N samples makes K calls, one a reply, then answers; the log with all events goes to disk.
Inspect runs with no sandbox at all and with its unisolated ``local`` one; ours runs in real
containers with all monitors on and the trace stored. Variants take turns, medians are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def ours(runs: int, calls: int) -> dict[str, Any]:
    """Return our figures."""
    command = [
        sys.executable,
        str(HERE / "throughput.py"),
        "--runs",
        str(runs),
        "--calls",
        str(calls),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def inspects(python: str, variant: str, runs: int, calls: int) -> dict[str, Any]:
    """Return Inspect's figures."""
    command = [python, str(HERE / "inspect_workload.py"), variant, str(runs), str(calls)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Inspect failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="interpreter of the environment with Inspect")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=3, help="runs of 1,000 calls")
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for variant in ("none", "local"):
            figures = inspects(given.python, variant, 200, 10)
            found.setdefault(f"Inspect {figures['version']}, {variant}", []).append(
                figures["calls_per_s"]
            )
        found.setdefault("sandbox, bubblewrap", []).append(ours(200, 10)["calls_per_s"])
    medians = {name: statistics.median(values) for name, values in found.items()}
    print("200 runs of 10 tool calls, calls a second, median of", given.rounds)
    for name, value in medians.items():
        print(f"  {name:<28}{value:8.0f}")
    local = next(value for name, value in medians.items() if name.endswith("local"))
    mine = medians["sandbox, bubblewrap"]
    print(f"  sandbox against Inspect's local: {mine / local:.1f}×")
    long = ours(given.long, 1000)["calls_per_s"]
    print(
        f"{given.long} runs of 1,000 tool calls: {long:.0f} calls a second, {1000 / long:.2f} ms a call "
        f"({1000 / mine:.2f} ms at 10 calls a run, starts included)"
    )


if __name__ == "__main__":
    main()
