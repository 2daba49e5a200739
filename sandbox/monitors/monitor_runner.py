"""All monitors of a run, asked about one step: live by the gate, later over a stored trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol

from sandbox.enums import Decision, MonitorFault, Stage
from sandbox.errors import first
from sandbox.monitors.dispatch import MonitorDispatch
from sandbox.monitors.failing import failure
from sandbox.monitors.judge_reply import JudgeReply, ReplyListener, ignore_reply
from sandbox.monitors.monitor import AsyncMonitor, Monitor, Unscored
from sandbox.monitors.monitor_sandbox import MONITOR_SECONDS, MonitorTimeout
from sandbox.monitors.policy import Policy, PolicyState
from sandbox.monitors.python_monitor import SandboxedMonitor
from sandbox.monitors.rules import RuleMonitor
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step
from sandbox.monitors.timeouts import call_with_timeout
from sandbox.monitors.verdict import Verdict

ClockPause = Callable[[], AbstractContextManager[None]]
_Question = Callable[[AsyncMonitor, ReplyListener], Coroutine[Any, Any, Verdict | None]]


class VerdictSource(Protocol):
    """What gives verdicts without being asked itself: a policy, by the name in its verdicts."""

    @property
    def name(self) -> str:
        """``policy.NAME``."""


@dataclass(frozen=True)
class MonitorResult:
    """What one monitor made of a step: a verdict, or how it failed."""

    monitor: Monitor | AsyncMonitor | VerdictSource
    verdict: Verdict | None = None
    failure: str = ""
    """Why it came to none: its error, or the time it was given."""
    kind: MonitorFault | None = None
    """What sort of failure it was."""


class MonitorRunner:
    """The monitors of one run."""

    def __init__(
        self,
        monitors: Sequence[Monitor | AsyncMonitor],
        seconds: float | None = None,
        waiting: ClockPause = nullcontext,
        policy: Policy | None = None,
    ) -> None:
        """Make a runner.

        Args:
            monitors: All that judge, of all stages.
            seconds: What one that may hang is given for one step; :data:`MONITOR_SECONDS` if left out.
            waiting: Entered while judges are waited for: their time is not the agent's.
            policy: What follows from the scores of several of them together, if anything.
        """
        self._policy = None if policy is None else PolicyState(policy)
        self._seconds = MONITOR_SECONDS if seconds is None else seconds
        self._waiting = waiting
        self._dispatch = MonitorDispatch(monitors)

    def has(self, stage: Stage) -> bool:
        """Return whether there are monitors of a stage."""
        return self._dispatch.has(stage)

    async def judge(self, step: Step, tell: ReplyListener = ignore_reply) -> list[MonitorResult]:
        """Return what the monitors of the step's stage have to say; those that allow it say nothing.

        Args:
            step: What they are asked about.
            tell: Is told what judges were answered, in order of the judges.
        """
        at_once, waiting = self._dispatch.monitors(step.stage, step.call.tool)
        found = []
        for monitor in at_once:
            try:
                brief = _inline(monitor, step)
                verdict = brief(step) if brief else await self._judge_elsewhere(monitor, step)
            except Exception as error:  # noqa: BLE001 - any failure of a monitor is evidence
                found.append(self._failure(monitor, error))
            else:
                if verdict is not None:
                    found.append(MonitorResult(monitor, verdict))
        found += await self._await(waiting, lambda each, tell: each.judge_step(step, tell), tell)
        return self._with_policy(found, step.lang)

    async def judge_run(
        self, context: RunContext, tell: ReplyListener = ignore_reply
    ) -> list[MonitorResult]:
        """Return what is to be said of a whole run at its end; see :meth:`judge`."""
        closing = self._dispatch.run_judges()
        found = await self._await(closing, lambda each, tell: each.judge_run(context, tell), tell)
        return self._with_policy(found, context.info.lang)

    def _with_policy(self, results: list[MonitorResult], lang: str) -> list[MonitorResult]:
        """Return those that say something, and what the policy says of all scores, those of others too."""
        says = [result for result in results if _says(result)]
        if self._policy is not None:
            given = [result.verdict for result in results if result.verdict is not None]
            if (verdict := self._policy.update(given, lang)) is not None:
                says.append(MonitorResult(self._policy, verdict))
        return says

    async def _await(
        self, monitors: Sequence[AsyncMonitor], ask: _Question, tell: ReplyListener
    ) -> list[MonitorResult]:
        """Ask monitors that wait, all at the same time."""
        if not monitors:
            return []
        heard: list[list[JudgeReply]] = [[] for _ in monitors]
        try:
            with self._waiting():
                async with asyncio.TaskGroup() as group:
                    answers = [
                        group.create_task(self._await_one(each, ask(each, replies.append)))
                        for each, replies in zip(monitors, heard, strict=True)
                    ]
        except BaseExceptionGroup as faults:
            raise first(faults) from faults
        finally:  # what was answered is on record even if the run is stopped meanwhile
            for reply in chain(*heard):
                tell(reply)
        return [answer.result() for answer in answers]

    async def _await_one(
        self, monitor: AsyncMonitor, answer: Coroutine[Any, Any, Verdict | None]
    ) -> MonitorResult:
        try:
            return MonitorResult(monitor, await answer)
        except Unscored as reason:
            return MonitorResult(monitor, failure=str(reason), kind=MonitorFault.UNSCORED)
        except Exception as error:  # noqa: BLE001 - any failure of a monitor is evidence
            return MonitorResult(monitor, failure=failure(monitor, error), kind=MonitorFault.ERROR)

    async def _judge_elsewhere(self, monitor: Monitor, step: Step) -> Verdict | None:
        """Ask a monitor that may take long, in another process or thread."""
        if isinstance(monitor, SandboxedMonitor | RuleMonitor):  # both end in time by themselves
            return await call_with_timeout(None, partial(monitor.judge, step, self._seconds))
        return await call_with_timeout(self._seconds, partial(monitor.judge, step))

    def _failure(self, monitor: Monitor, error: Exception) -> MonitorResult:
        text = failure(monitor, error)
        if isinstance(error, TimeoutError):
            text = f"no answer within {self._seconds:g} s"
        is_late = isinstance(error, TimeoutError | MonitorTimeout)
        return MonitorResult(
            monitor, failure=text, kind=MonitorFault.TIMEOUT if is_late else MonitorFault.ERROR
        )


def _inline(monitor: Monitor, step: Step) -> Callable[[Step], Verdict | None] | None:
    """Return how a monitor judges where it is sure to answer within a moment; None where it is not."""
    if isinstance(monitor, RuleMonitor):
        return monitor.judge_light if monitor.is_light(step) else None
    if isinstance(monitor, SandboxedMonitor) or not monitor.trusted:
        return None
    return monitor.judge


def _says(result: MonitorResult) -> bool:
    return bool(result.failure or (result.verdict and result.verdict.verdict != Decision.ALLOW))
