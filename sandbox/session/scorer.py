"""The process in which heavy conditions of a score are evaluated: ``python -m sandbox.session.scorer``.

What a condition goes over is the agent's: a world may hold lists that take hours. The process reads one
condition and its variables as JSON, answers with one JSON document, and may be ended at any time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sandbox.expressions import ExpressionError, parse
from sandbox.oversight.confined import environment
from sandbox.oversight.step import TEXT_FUNCTIONS
from sandbox.scenario.checks import SCORE_VARIABLES

SECONDS = 30.0
"""Time that one heavy condition may take."""
MEMORY = 2 << 30
"""Bytes of address space of its process."""


def holds(source: str, variables: Mapping[str, Any]) -> bool:
    """Return whether a condition holds, evaluated in a process of its own.

    Args:
        source: The condition.
        variables: Those that it reads.

    Raises:
        ExpressionError: It cannot be evaluated, or not within the time and memory that it is given.
    """
    asked = json.dumps({"source": source, "variables": dict(variables)})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "sandbox.session.scorer", str(MEMORY), str(int(SECONDS) + 1)],
            input=asked, capture_output=True, text=True, timeout=SECONDS, check=False,
            env=environment(), start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ExpressionError(f"not evaluated within {SECONDS:g} s: {source}") from None
    if done.returncode:
        raise ExpressionError(f"not evaluated within {MEMORY >> 30} GiB: {source}")
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise ExpressionError(answer["failed"])
    return bool(answer["holds"])


def main() -> None:
    """Answer one question."""
    memory, seconds = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))  # where nobody waits any more
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin)
    condition = parse(asked["source"], SCORE_VARIABLES, frozenset(TEXT_FUNCTIONS))
    try:
        answer: dict[str, Any] = {"holds": condition.holds(asked["variables"], TEXT_FUNCTIONS)}
    except ExpressionError as error:
        answer = {"failed": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
