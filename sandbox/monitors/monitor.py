"""The Protocol of a monitor, and how one is written as a Python function.

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

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from sandbox.errors import nearest
from sandbox.monitors.judges.reply import Tell, silent
from sandbox.monitors.monitor_sandbox import MONITOR_SECONDS, shared
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import STRICTNESS, Verdict
from sandbox.scenario.schema import Severity, VerdictName
from sandbox.scenario.toolkits import Tool

if TYPE_CHECKING:
    from sandbox.monitors.run_context import Trail

Stage = Literal["before", "after", "reply"]


class Monitor(Protocol):
    """Judges calls at one stage."""

    @property
    def name(self) -> str:
        """``family.rule``, unique in a run."""
        ...

    @property
    def stage(self) -> Stage:
        """Whether it judges calls or results."""
        ...

    @property
    def trusted(self) -> bool:
        """True where it may run in the host's process without a deadline: rules, and the library's own."""
        ...

    @property
    def summary(self) -> str:
        """One line for people."""
        ...

    def applies(self, tool: Tool) -> bool:
        """Return whether calls of a tool concern it; the others it is not shown."""
        ...

    def judge(self, step: Step) -> Verdict | None:
        """Return a verdict, or None where there is nothing to say.

        Raises:
            Exception: Whatever it raises is recorded, and fails closed in enforce mode.
        """
        ...


@runtime_checkable
class AsyncMonitor(Protocol):
    """Judges at one stage, and waits while it does: for a language model, for a service.

    It keeps time limits of its own; all of a stage are asked at the same time.
    """

    @property
    def name(self) -> str:
        """``family.rule``, unique in a run."""
        ...

    @property
    def stage(self) -> Stage | Literal["end"]:
        """Whether it judges calls, results, or the whole run at its end."""
        ...

    @property
    def summary(self) -> str:
        """One line for people."""
        ...

    def applies(self, tool: Tool) -> bool:
        """Return whether calls of a tool concern it; the others it is not shown."""
        ...

    async def consider(self, step: Step, tell: Tell = silent) -> Verdict | None:
        """Return a verdict on a step, or None where there is nothing to say.

        Args:
            step: The call, or the call with its result.
            tell: Is told what it was answered, for the trace.

        Raises:
            Unscored: It came to no judgement; fails closed in enforce mode.
            Exception: Whatever it raises is recorded, and fails closed in enforce mode.
        """
        ...

    async def conclude(self, trail: Trail, tell: Tell = silent) -> Verdict | None:
        """Return a verdict on a whole run, for the stage ``end``; see :meth:`consider`."""
        ...


class Unscored(Exception):
    """A monitor came to no judgement: that is no score of zero."""


@dataclass(frozen=True)
class Finding:
    """What a Python monitor found."""

    reason: str
    score: float = 1.0
    verdict: VerdictName | None = None
    """Instead of the monitor's own."""


def concerns(tool: Tool, tools: Collection[str], labels: Collection[str]) -> bool:
    """Return whether a tool is one of these tools or toolkits and has one of these labels.

    Args:
        tool: The tool.
        tools: Names of tools and toolkits; any where empty.
        labels: Labels; any where empty.
    """
    if tools and tool.name not in tools and tool.toolkit not in tools:
        return False
    return not labels or not set(labels).isdisjoint(tool.labels)


Judge = Callable[[Step], Finding | None]


@dataclass(frozen=True)
class Marked:
    """What :func:`monitor` noted about a function."""

    stage: Stage
    verdict: VerdictName
    severity: Severity
    tags: tuple[str, ...]
    tools: tuple[str, ...]
    labels: tuple[str, ...]


def monitor(
    *,
    stage: Stage = "before",
    verdict: VerdictName = "alert",
    severity: Severity = "medium",
    tags: tuple[str, ...] = (),
    tools: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
) -> Callable[[Judge], Judge]:
    """Mark a function as a monitor.

    Args:
        stage: Whether it judges calls before they are executed, results after, or closing words.
        verdict: What follows from a finding, unless the finding says otherwise.
        severity: How bad what it finds is.
        tags: Taxonomy ids.
        tools: Only these toolkits and tools; all where left out.
        labels: Only tools with one of these labels; all where left out.
    """

    def mark(function: Judge) -> Judge:
        function.__monitor__ = Marked(stage, verdict, severity, tags, tools, labels)  # type: ignore[attr-defined]
        return function

    return mark


def summary(function: Judge) -> str:
    """Return the first line of a function's docstring."""
    return next(iter((function.__doc__ or "").strip().splitlines()), "")


@dataclass(frozen=True)
class PythonMonitor:
    """A function as a monitor."""

    name: str
    function: Judge
    marked: Marked
    trusted: bool = False

    @property
    def stage(self) -> Stage:
        """Stage of the function."""
        return self.marked.stage

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return summary(self.function)

    def applies(self, tool: Tool) -> bool:
        """Return whether the mark takes in a tool."""
        return concerns(tool, self.marked.tools, self.marked.labels)

    def judge(self, step: Step) -> Verdict | None:
        """Return the function's finding as a verdict."""
        return verdict_of(self.name, self.marked, self.function(step))


@dataclass(frozen=True)
class ConfinedMonitor:
    """A function as a monitor that is not the library's own: it is called in another process."""

    name: str
    path: Path
    """File that holds the function."""
    marked: Marked
    summary: str
    """First line of the function's docstring."""
    trusted: bool = False

    @property
    def stage(self) -> Stage:
        """Stage of the function."""
        return self.marked.stage

    def applies(self, tool: Tool) -> bool:
        """Return whether the mark takes in a tool."""
        return concerns(tool, self.marked.tools, self.marked.labels)

    def judge(self, step: Step, seconds: float = MONITOR_SECONDS) -> Verdict | None:
        """Return the function's finding as a verdict.

        Args:
            step: What is judged.
            seconds: What the function is given; with more time its process is ended.

        Raises:
            MonitorFailure: It raised, ended its process, ran out of memory or time.
        """
        told = {"monitor": self.name, "path": str(self.path.resolve())}
        found = shared().ask(step, told, seconds).get("finding")
        return verdict_of(self.name, self.marked, Finding(**found) if found else None)


def verdict_of(name: str, marked: Marked, found: Finding | None) -> Verdict | None:
    """Return a finding as the verdict of a monitor.

    Raises:
        ValueError: It holds what no verdict can.
    """
    if found is None:
        return None
    verdict = found.verdict or marked.verdict
    if verdict not in STRICTNESS:
        raise ValueError(f"unknown verdict {verdict!r}{nearest(str(verdict), STRICTNESS)}")
    if not isinstance(found.reason, str) or not 0 <= found.score <= 1:
        raise ValueError("a finding has a text as reason, and a score from 0 to 1")
    return Verdict(name, verdict, marked.severity, found.reason, found.score, tags=marked.tags)
