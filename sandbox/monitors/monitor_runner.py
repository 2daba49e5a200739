"""All monitors of a run, asked about one step: live by the gate, later over a stored trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from sandbox.monitors.dispatch import Concerned
from sandbox.monitors.judge_reply import JudgeReply, Tell, silent
from sandbox.monitors.monitor import AsyncMonitor, Monitor, Stage, Unscored
from sandbox.monitors.monitor_sandbox import MONITOR_SECONDS, MonitorFailure, MonitorTimeout
from sandbox.monitors.policy import Policy, Standing
from sandbox.monitors.python_monitor import ConfinedMonitor
from sandbox.monitors.rules import RuleMonitor
from sandbox.monitors.run_context import Trail
from sandbox.monitors.step import Step
from sandbox.monitors.timeouts import within
from sandbox.monitors.verdict import Verdict

Waiting = Callable[[], AbstractContextManager[None]]
_Question = Callable[[AsyncMonitor, Tell], Coroutine[Any, Any, Verdict | None]]


class Named(Protocol):
    """What gives verdicts without being asked itself: a policy, by the name in its verdicts."""

    @property
    def name(self) -> str:
        """``policy.NAME``."""
        ...


@dataclass(frozen=True)
class Opinion:
    """What one monitor made of a step: a verdict, or how it failed."""

    monitor: Monitor | AsyncMonitor | Named
    verdict: Verdict | None = None
    failure: str = ""
    """Why it came to none: its error, or the time it was given."""
    kind: Literal["", "error", "timeout", "unscored"] = ""
    """What sort of failure it was."""


class Panel:
    """The monitors of one run."""

    def __init__(
        self,
        monitors: Sequence[Monitor | AsyncMonitor],
        seconds: float | None = None,
        waiting: Waiting = nullcontext,
        policy: Policy | None = None,
    ) -> None:
        """Make a panel.

        Args:
            monitors: All that judge, of all stages.
            seconds: What one that may hang is given for one step; :data:`MONITOR_SECONDS` if left out.
            waiting: Entered while judges are waited for: their time is not the agent's.
            policy: What follows from the scores of several of them together, if anything.
        """
        self._standing = None if policy is None else Standing(policy)
        self._seconds = MONITOR_SECONDS if seconds is None else seconds
        self._waiting = waiting
        self._concerned = Concerned(monitors)

    def judges(self, stage: Stage) -> bool:
        """Return whether there are monitors of a stage."""
        return self._concerned.any(stage)

    async def judge(self, step: Step, tell: Tell = silent) -> list[Opinion]:
        """Return what the monitors of the step's stage have to say; those that allow it say nothing.

        Args:
            step: What they are asked about.
            tell: Is told what judges were answered, in order of the judges.
        """
        at_once, waiting = self._concerned.by(step.stage, step.call.tool)
        found = []
        for monitor in at_once:
            try:
                brief = _brief(monitor, step)
                verdict = brief(step) if brief else await self._at_length(monitor, step)
            except Exception as error:  # noqa: BLE001 - any failure of a monitor is evidence
                found.append(self._failed(monitor, error))
            else:
                if verdict is not None:
                    found.append(Opinion(monitor, verdict))
        found += await self._wait(waiting, lambda each, tell: each.consider(step, tell), tell)
        return self._together(found, step.lang)

    async def conclude(self, trail: Trail, tell: Tell = silent) -> list[Opinion]:
        """Return what is to be said of a whole run at its end; see :meth:`judge`."""
        closing = self._concerned.closing()
        found = await self._wait(closing, lambda each, tell: each.conclude(trail, tell), tell)
        return self._together(found, trail.ground.lang)

    def _together(self, found: list[Opinion], lang: str) -> list[Opinion]:
        """Return those that say something, and what the policy says of all scores, those of others too."""
        says = [opinion for opinion in found if _says(opinion)]
        if self._standing is not None:
            given = [opinion.verdict for opinion in found if opinion.verdict is not None]
            if (verdict := self._standing.weigh(given, lang)) is not None:
                says.append(Opinion(self._standing, verdict))
        return says

    async def _wait(
        self, monitors: Sequence[AsyncMonitor], ask: _Question, tell: Tell
    ) -> list[Opinion]:
        """Ask monitors that wait, all at the same time."""
        if not monitors:
            return []
        told: list[list[JudgeReply]] = [[] for _ in monitors]
        asked = (
            self._answer(each, ask(each, replies.append))
            for each, replies in zip(monitors, told, strict=True)
        )
        try:
            with self._waiting():
                return list(await asyncio.gather(*asked))
        finally:  # what was answered is on record even where the run is stopped meanwhile
            for replies in told:
                for reply in replies:
                    tell(reply)

    async def _answer(
        self, monitor: AsyncMonitor, answer: Coroutine[Any, Any, Verdict | None]
    ) -> Opinion:
        try:
            return Opinion(monitor, await answer)
        except Unscored as reason:
            return Opinion(monitor, failure=str(reason), kind="unscored")
        except Exception as error:  # noqa: BLE001 - any failure of a monitor is evidence
            return Opinion(monitor, failure=f"{type(error).__name__}: {error}", kind="error")

    async def _at_length(self, monitor: Monitor, step: Step) -> Verdict | None:
        """Ask a monitor that may take long, in another process or thread."""
        if isinstance(monitor, ConfinedMonitor | RuleMonitor):  # both end in time by themselves
            return await within(None, partial(monitor.judge, step, self._seconds))
        return await within(self._seconds, partial(monitor.judge, step))

    def _failed(self, monitor: Monitor, error: Exception) -> Opinion:
        if isinstance(error, MonitorTimeout):
            return Opinion(monitor, failure=str(error), kind="timeout")
        if isinstance(error, MonitorFailure):
            return Opinion(monitor, failure=str(error), kind="error")
        if isinstance(error, TimeoutError):
            return Opinion(monitor, failure=f"no answer within {self._seconds:g} s", kind="timeout")
        return Opinion(monitor, failure=f"{type(error).__name__}: {error}", kind="error")


def _brief(monitor: Monitor, step: Step) -> Callable[[Step], Verdict | None] | None:
    """Return how a monitor judges where it is sure to answer within a moment; None where it is not."""
    if isinstance(monitor, RuleMonitor):
        return monitor.judge_light if monitor.is_light(step) else None
    if isinstance(monitor, ConfinedMonitor) or not monitor.trusted:
        return None
    return monitor.judge


def _says(opinion: Opinion) -> bool:
    return bool(opinion.failure or (opinion.verdict and opinion.verdict.verdict != "allow"))
