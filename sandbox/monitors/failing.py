"""Who failed if asking a monitor comes to an error: the monitor, or the code that asks it."""

from __future__ import annotations

from sandbox.errors import InternalError, SandboxError
from sandbox.monitors.monitor import AsyncMonitor, Monitor
from sandbox.monitors.monitor_sandbox import MonitorFailure
from sandbox.monitors.python_monitor import SandboxedMonitor
from sandbox.monitors.rules import RuleMonitor

INPUT_ERRORS = (SandboxError, TimeoutError, RecursionError, MemoryError)
"""What our own code may come to by its input: a condition, a reply, what an agent wrote."""


def failure(monitor: Monitor | AsyncMonitor, error: Exception) -> str:
    """Return how a monitor failed: what its function raised, or why a condition, a process, a model has no answer.

    Raises:
        Exception: The error itself, if it is a fault of the code that asks the monitor.
    """
    ours = isinstance(error, InternalError) or not isinstance(error, INPUT_ERRORS)
    if ours and isinstance(monitor, (RuleMonitor, SandboxedMonitor, AsyncMonitor)):
        raise error
    return str(error) if isinstance(error, MonitorFailure) else f"{type(error).__name__}: {error}"
