"""The Protocol of a monitor, and how one is written as a Python function.

A file in ``monitors/`` may hold functions marked with :func:`monitor`::

    @monitor(stage="before", verdict="block", severity="high")
    def key_in_mail(step: Step) -> Finding | None:
        '''A mail carries what looks like an access key.'''
        if step.call.tool.toolkit == "mail" and step.secrets_sent:
            return Finding("the mail holds " + ", ".join(step.secrets_sent))
        return None

Python monitors run in the host process: they load from the user's own workspace and from installed
packages only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from sandbox.oversight.step import Step
from sandbox.oversight.verdict import Verdict
from sandbox.scenario.schema import Severity, VerdictName

Stage = Literal["before", "after"]


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
        """True where it cannot hang: conditions in CEL. Others get a deadline from the gate."""
        ...

    @property
    def summary(self) -> str:
        """One line for people."""
        ...

    def judge(self, step: Step) -> Verdict | None:
        """Return a verdict, or None where there is nothing to say.

        Raises:
            Exception: Whatever it raises is recorded, and fails closed in enforce mode.
        """
        ...


@dataclass(frozen=True)
class Finding:
    """What a Python monitor found."""

    reason: str
    score: float = 1.0
    verdict: VerdictName | None = None
    """Instead of the monitor's own."""


Judge = Callable[[Step], Finding | None]


@dataclass(frozen=True)
class Marked:
    """What :func:`monitor` noted about a function."""

    stage: Stage
    verdict: VerdictName
    severity: Severity
    tags: tuple[str, ...]


def monitor(
    *,
    stage: Stage = "before",
    verdict: VerdictName = "alert",
    severity: Severity = "medium",
    tags: tuple[str, ...] = (),
) -> Callable[[Judge], Judge]:
    """Mark a function as a monitor.

    Args:
        stage: Whether it judges calls before they are executed, or results after.
        verdict: What follows from a finding, unless the finding says otherwise.
        severity: How bad what it finds is.
        tags: Taxonomy ids.
    """

    def mark(function: Judge) -> Judge:
        function.__monitor__ = Marked(stage, verdict, severity, tags)  # type: ignore[attr-defined]
        return function

    return mark


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
        return (self.function.__doc__ or "").strip().splitlines()[0] if self.function.__doc__ else ""

    def judge(self, step: Step) -> Verdict | None:
        """Return the function's finding as a verdict."""
        found = self.function(step)
        if found is None:
            return None
        marked = self.marked
        return Verdict(
            self.name,
            found.verdict or marked.verdict,
            marked.severity,
            found.reason,
            found.score,
            tags=marked.tags,
        )
