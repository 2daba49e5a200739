"""All monitors of a run, asked about one step: live by the gate, later over a stored trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sandbox.oversight.confined import MONITOR_SECONDS, MonitorFailure
from sandbox.oversight.deadline import within
from sandbox.oversight.monitor import ConfinedMonitor, Monitor, Stage
from sandbox.oversight.rules import RuleMonitor
from sandbox.oversight.step import Step
from sandbox.oversight.verdict import Verdict
from sandbox.scenario.toolkits import Tool


@dataclass(frozen=True)
class Opinion:
    """What one monitor made of a step: a verdict, or how it failed."""

    monitor: Monitor
    verdict: Verdict | None = None
    failure: str = ""
    """Why it came to none: its error, or the time it was given."""


class Panel:
    """The monitors of one run."""

    def __init__(self, monitors: Sequence[Monitor], seconds: float | None = None) -> None:
        """Make a panel.

        Args:
            monitors: All that judge, of all stages.
            seconds: What one that may hang is given for one step; :data:`MONITOR_SECONDS` if left out.
        """
        self._seconds = MONITOR_SECONDS if seconds is None else seconds
        self._monitors: dict[Stage, tuple[Monitor, ...]] = {
            "before": tuple(m for m in monitors if m.stage == "before"),
            "after": tuple(m for m in monitors if m.stage == "after"),
            "reply": tuple(m for m in monitors if m.stage == "reply"),
        }
        self._concerned: dict[tuple[Stage, str], tuple[Monitor, ...]] = {}

    def judges(self, stage: Stage) -> bool:
        """Return whether there are monitors of a stage."""
        return bool(self._monitors[stage])

    async def judge(self, step: Step) -> list[Opinion]:
        """Return what the monitors of the step's stage have to say; those that allow it say nothing."""
        found = []
        for monitor in self._concerns(step.stage, step.call.tool):
            opinion = await self._ask(monitor, step)
            if opinion.failure or (opinion.verdict and opinion.verdict.verdict != "allow"):
                found.append(opinion)
        return found

    async def _ask(self, monitor: Monitor, step: Step) -> Opinion:
        try:
            if isinstance(monitor, ConfinedMonitor) or (
                isinstance(monitor, RuleMonitor) and not monitor.is_light(step)
            ):  # both end in time, in a process that the event loop must not wait for
                judge = partial(monitor.judge, step, self._seconds)
                return Opinion(monitor, await within(None, judge))
            if monitor.trusted:
                return Opinion(monitor, monitor.judge(step))
            return Opinion(monitor, await within(self._seconds, partial(monitor.judge, step)))
        except MonitorFailure as error:
            return Opinion(monitor, failure=str(error))
        except TimeoutError:
            return Opinion(monitor, failure=f"no answer within {self._seconds:g} s")
        except Exception as error:  # noqa: BLE001 - any failure of a monitor is evidence
            return Opinion(monitor, failure=f"{type(error).__name__}: {error}")

    def _concerns(self, stage: Stage, tool: Tool) -> tuple[Monitor, ...]:
        """Return the monitors of a stage that a tool concerns; worked out once for each."""
        key = stage, tool.name
        if key not in self._concerned:
            found = tuple(monitor for monitor in self._monitors[stage] if monitor.applies(tool))
            self._concerned[key] = found
        return self._concerned[key]
