"""The same workload in Inspect, in an environment of its own: runs of tool calls with a scripted model.

Each of N samples makes K calls, one a reply, then answers; the log with all events goes to disk.
Inspect runs with no sandbox at all and with its unisolated ``local`` one; ours runs in real
containers with all monitors on and the trace stored. Variants take turns, medians are printed.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict

from workload import figures_of


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="interpreter of the environment with Inspect")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=3, help="runs of 1,000 calls")
    parser.add_argument("--runs", type=int, default=200, help="runs of 10 calls")
    chosen = parser.parse_args()
    rates = defaultdict(list)
    for _ in range(chosen.rounds):
        for variant in ("none", "local"):
            words = (variant, str(chosen.runs), "10")
            figures = figures_of("inspect_workload.py", *words, python=chosen.python)
            rates[f"Inspect {figures['version']}, {variant}"].append(figures["calls_per_s"])
        figures = figures_of("throughput.py", runs=chosen.runs, calls=10)
        rates["sandbox, bubblewrap"].append(figures["calls_per_s"])
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(chosen.runs, "runs of 10 tool calls, calls a second, median of", chosen.rounds)
    for name, value in medians.items():
        print(f"  {name:<28}{value:8.0f}")
    local = next(value for name, value in medians.items() if name.endswith("local"))
    mine = medians["sandbox, bubblewrap"]
    print(f"  sandbox against Inspect's local: {mine / local:.1f}×")
    long = figures_of("throughput.py", runs=chosen.long, calls=1000)["calls_per_s"]
    print(
        f"{chosen.long} runs of 1,000 tool calls: {long:.0f} calls a second, {1000 / long:.2f} ms a call "
        f"({1000 / mine:.2f} ms at 10 calls a run, starts included)"
    )


if __name__ == "__main__":
    main()
