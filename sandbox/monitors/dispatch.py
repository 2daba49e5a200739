"""Which monitors a call concerns: by stage, tool and labels, worked out once for each."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.enums import Stage
from sandbox.monitors.monitor import AsyncMonitor, Monitor
from sandbox.scenario.stages import SUBJECTS, stages_of
from sandbox.scenario.toolkits import Tool

MonitorsOfCall = tuple[list[Monitor], list[AsyncMonitor]]
"""Those that answer at once, and those that wait for something."""


class MonitorDispatch:
    """Monitors by what they are asked about."""

    def __init__(self, monitors: Sequence[Monitor | AsyncMonitor]) -> None:
        self._monitors = {
            stage: tuple(m for m in monitors if m.stage == stage) for stage in SUBJECTS
        }
        self._known: dict[tuple[Stage, str, tuple[str, ...]], MonitorsOfCall] = {}

    def has(self, stage: Stage) -> bool:
        """Return whether there are monitors of a stage."""
        return bool(self._monitors[stage])

    def monitors(self, stage: Stage, tool: Tool) -> MonitorsOfCall:
        """Return the monitors of a stage that a tool concerns."""
        key = stage, tool.name, tool.labels  # runs of elsewhere may label the same name otherwise
        if key not in self._known:
            self._known[key] = _by_kind([m for m in self._monitors[stage] if m.applies(tool)])
        return self._known[key]

    def run_judges(self) -> list[AsyncMonitor]:
        """Return those that look at a whole run at its end."""
        return _by_kind([m for stage in stages_of("run") for m in self._monitors[stage]])[1]


def _by_kind(monitors: Sequence[Monitor | AsyncMonitor]) -> MonitorsOfCall:
    at_once: list[Monitor] = []
    waiting: list[AsyncMonitor] = []
    for monitor in monitors:
        # isinstance with a Protocol takes longer than most monitors do
        (waiting if hasattr(monitor, "judge_step") else at_once).append(monitor)  # type: ignore[arg-type]
    return at_once, waiting
