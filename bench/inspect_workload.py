"""The workload of ``bench/peers.py`` for Inspect; runs in Inspect's own environment.

Usage: ``python inspect_workload.py none|local SAMPLES CALLS``; prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import inspect_ai
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool
from inspect_ai.util import sandbox


@tool
def add(*, outside: bool):
    """Return a tool that adds in the process itself, or starts a trivial command in Inspect's sandbox."""

    async def execute(x: int, y: int) -> str:
        """Add two numbers.

        Args:
            x: First number.
            y: Second number.
        """
        done = not outside or (await sandbox().exec(["true"])).success
        return str(x + y) if done else "failed"

    return execute


def main() -> None:
    """Run the workload and print its figures."""
    variant, samples, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    def output(messages, tools, choice, config):
        done = sum(1 for message in messages if message.role == "tool")
        reply = ModelOutput.from_content("mockllm/model", "the answer is 42")
        if done < calls:
            reply = ModelOutput.for_tool_call("mockllm/model", "add", {"x": done, "y": 1})
        # stated, or the mock would count tokens with a table that it fetches over the network
        reply.usage = ModelUsage(input_tokens=100, output_tokens=10, total_tokens=110)
        return reply

    def task(count: int) -> Task:
        return Task(
            dataset=MemoryDataset(
                [Sample(id=i + 1, input="Add up.", target="42") for i in range(count)]
            ),
            solver=[use_tools([add(outside=variant == "local")]), generate()],
            scorer=includes(),
            sandbox=None if variant == "none" else "local",
        )

    model = get_model("mockllm/model", custom_outputs=output)
    with tempfile.TemporaryDirectory(prefix="bench-inspect-") as folder:
        place = Path(folder)
        evaluate(task(1), model=model, display="none", log_dir=str(place / "warm"))
        started = time.perf_counter()
        (log,) = evaluate(task(samples), model=model, display="none", log_dir=str(place / "logs"))
        wall = time.perf_counter() - started
        assert log.status == "success", log.error
        # the log is read while its file is there
        count = sum(1 for s in log.samples or [] for e in s.events if e.event == "tool")
    assert count == samples * calls, count
    print(
        json.dumps({"version": inspect_ai.__version__, "wall_s": wall, "calls_per_s": count / wall})
    )


if __name__ == "__main__":
    main()
