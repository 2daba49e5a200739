"""Heavy conditions of scores, evaluated in a process of their own.

What a condition goes over is the agent's: a world may hold lists that take hours. The process is one as
monitors have, and none that a monitor has ever been in.
"""

from __future__ import annotations

import atexit
import os
from functools import cache

from sandbox.cel import ExpressionError, Macros
from sandbox.cel_cost import Variables
from sandbox.monitors.monitor_sandbox import MonitorFailure, MonitorProcess, MonitorTimeout

SECONDS = 30.0
"""Time that one heavy condition may take."""
MEMORY = 2 << 30
"""Bytes of address space of the process."""


def holds(source: str, variables: Variables, macros: Macros = ()) -> bool:
    """Return whether a condition holds; one is evaluated after the other.

    Args:
        source: The condition.
        variables: Those that it reads.
        macros: Those of its scenario.

    Raises:
        ExpressionError: It cannot be evaluated, or not within the time and memory that it is given.
    """
    try:
        answer = _of(os.getpid()).evaluate(source, variables, macros, SECONDS)
    except MonitorTimeout:
        raise ExpressionError(f"not evaluated within {SECONDS:g} s: {source}") from None
    except (MonitorFailure, RecursionError):
        raise ExpressionError(f"not evaluated within {MEMORY >> 30} GiB: {source}") from None
    if "refused" in answer:
        raise ExpressionError(str(answer["refused"]))
    return answer.get("holds") is True


@cache
def _of(program: int) -> MonitorProcess:
    """Return the process of this program; a fork of it gets its own."""
    process = MonitorProcess(MEMORY)
    atexit.register(process.close)
    return process
