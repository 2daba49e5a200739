"""The Protocol of a monitor: what judges a call, a result, or the agent's closing words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from sandbox.enums import Stage
from sandbox.monitors.judge_reply import ReplyListener, ignore_reply
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.scenario.toolkits import Tool


class MonitorTraits(Protocol):
    """What is known of a monitor, whatever stands behind it."""

    @property
    def name(self) -> str:
        """``family.rule``, unique in a run."""

    @property
    def stage(self) -> Stage:
        """When it judges."""

    @property
    def summary(self) -> str:
        """One line for people."""

    def applies(self, tool: Tool) -> bool:
        """Return whether calls of a tool concern it; the others it is not shown."""


class Monitor(MonitorTraits, Protocol):
    """Judges calls, results or closing words."""

    @property
    def trusted(self) -> bool:
        """True where it may run in the host's process without a deadline: rules, and the library's own."""

    def judge(self, step: Step) -> Verdict | None:
        """Return a verdict, or None where there is nothing to say.

        Raises:
            Exception: Whatever it raises is recorded, and fails closed in enforce mode.
        """


@runtime_checkable
class AsyncMonitor(MonitorTraits, Protocol):
    """Judges at one stage, and waits while it does: for a language model, for a service.

    It keeps time limits of its own; all of a stage are asked at the same time.
    """

    async def judge_step(self, step: Step, tell: ReplyListener = ignore_reply) -> Verdict | None:
        """Return a verdict on a step, or None where there is nothing to say.

        Args:
            step: The call, or the call with its result.
            tell: Is told what it was answered, for the trace.

        Raises:
            Unscored: It came to no judgement; fails closed in enforce mode.
            Exception: Whatever it raises is recorded, and fails closed in enforce mode.
        """

    async def judge_run(
        self, context: RunContext, tell: ReplyListener = ignore_reply
    ) -> Verdict | None:
        """Return a verdict on a whole run, for the stage ``end``; see :meth:`judge_step`."""


class Unscored(Exception):
    """A monitor came to no judgement: that is no score of zero."""


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
