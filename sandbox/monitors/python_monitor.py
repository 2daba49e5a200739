"""Monitors written as Python functions.

A file in ``monitors/`` may hold functions marked with :func:`monitor`::

    @monitor(stage="before", verdict="block", severity="high")
    def key_in_mail(step: Step) -> Finding | None:
        '''A mail carries what looks like an access key.'''
        if step.call.tool.toolkit == "mail" and step.secrets_sent:
            return Finding("the mail holds " + ", ".join(step.secrets_sent))
        return None

They load from the user's own workspace and from installed packages only. Those of the library run in the
host's process, all others in one of their own: :mod:`sandbox.monitors.monitor_sandbox`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from sandbox.enums import STRICTNESS, Decision, Severity, Stage
from sandbox.errors import nearest
from sandbox.monitors.monitor import concerns
from sandbox.monitors.monitor_messages import MonitorData
from sandbox.monitors.monitor_sandbox import MONITOR_SECONDS, MonitorFailure, shared_process
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.scenario.stages import stages_of
from sandbox.scenario.toolkits import Tool


@dataclass(frozen=True)
class Finding:
    """What a Python monitor found."""

    reason: str
    score: float = 1.0
    verdict: str | None = None
    """Instead of the monitor's own."""


_FINDING_FIELDS = {item.name for item in fields(Finding)}
MonitorFunction = Callable[[Step], Finding | None]


@dataclass(frozen=True)
class MonitorMark:
    """What :func:`monitor` noted about a function."""

    stage: Stage
    verdict: Decision
    severity: Severity
    tags: tuple[str, ...]
    tools: tuple[str, ...]
    labels: tuple[str, ...]


def monitor(
    stage: str = Stage.BEFORE,
    *,
    verdict: str = Decision.ALERT,
    severity: str = Severity.MEDIUM,
    tags: tuple[str, ...] = (),
    tools: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
) -> Callable[[MonitorFunction], MonitorFunction]:
    """Mark a function as a monitor.

    Args:
        stage: Whether it judges calls before they are executed, results after, or closing words.
        verdict: What follows from a finding, unless the finding says otherwise.
        severity: How bad what it finds is.
        tags: Taxonomy ids.
        tools: Only these toolkits and tools; all where left out.
        labels: Only tools with one of these labels; all where left out.

    Raises:
        ValueError: There is no such stage, verdict or severity.
        TypeError: The brackets are missing.
    """
    if callable(stage):
        raise TypeError("@monitor is written with brackets: @monitor()")
    if stage not in (known := stages_of("call", "result", "words")):
        raise ValueError(f"a monitor has no stage {stage!r}{nearest(stage, known)}")
    marked = MonitorMark(Stage(stage), Decision(verdict), Severity(severity), tags, tools, labels)

    def mark(function: MonitorFunction) -> MonitorFunction:
        function.__monitor__ = marked  # type: ignore[attr-defined]
        return function

    return mark


def summary(function: MonitorFunction) -> str:
    """Return the first line of a function's docstring."""
    return next(iter((function.__doc__ or "").strip().splitlines()), "")


@dataclass(frozen=True)
class PythonMonitor:
    """A function as a monitor."""

    name: str
    function: MonitorFunction
    mark: MonitorMark
    trusted: bool = False

    @property
    def stage(self) -> Stage:
        """Stage of the function."""
        return self.mark.stage

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return summary(self.function)

    def applies(self, tool: Tool) -> bool:
        """Return whether the mark takes in a tool."""
        return concerns(tool, self.mark.tools, self.mark.labels)

    def judge(self, step: Step) -> Verdict | None:
        """Return the function's finding as a verdict."""
        return verdict_of(self.name, self.mark, self.function(step))


@dataclass(frozen=True)
class SandboxedMonitor:
    """A function as a monitor that is not the library's own: it is called in another process."""

    name: str
    path: Path
    """File that holds the function."""
    mark: MonitorMark
    summary: str
    """First line of the function's docstring."""
    trusted: bool = False

    @property
    def stage(self) -> Stage:
        """Stage of the function."""
        return self.mark.stage

    def applies(self, tool: Tool) -> bool:
        """Return whether the mark takes in a tool."""
        return concerns(tool, self.mark.tools, self.mark.labels)

    def judge(self, step: Step, seconds: float = MONITOR_SECONDS) -> Verdict | None:
        """Return the function's finding as a verdict.

        Args:
            step: What is judged.
            seconds: What the function is given; with more time its process is ended.

        Raises:
            MonitorFailure: It raised, ended its process, ran out of memory or time.
        """
        question: MonitorData = {"monitor": self.name, "path": str(self.path.resolve())}
        data = shared_process().ask(step, question, seconds).get("finding")
        if data is None:
            return None
        if not isinstance(data, dict) or data.keys() != _FINDING_FIELDS:
            raise MonitorFailure("an answer of the wrong kind")
        return verdict_of(self.name, self.mark, Finding(**data))


def verdict_of(name: str, mark: MonitorMark, finding: Finding | None) -> Verdict | None:
    """Return a finding as the verdict of a monitor.

    Raises:
        MonitorFailure: It holds what no verdict can.
    """
    if finding is None:
        return None
    verdict = finding.verdict or mark.verdict
    if not isinstance(verdict, str) or verdict not in STRICTNESS:
        raise MonitorFailure(f"unknown verdict {verdict!r}{nearest(str(verdict), Decision)}")
    has_score = isinstance(finding.score, int | float) and 0 <= finding.score <= 1
    if not isinstance(finding.reason, str) or not has_score:
        raise MonitorFailure("a finding has a text as reason, and a score from 0 to 1")
    decision = Decision(verdict)
    return Verdict(name, decision, mark.severity, finding.reason, finding.score, tags=mark.tags)
