"""Judges over stored runs: every step and every end, all scores, many questions at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.oversight import offline
from sandbox.oversight.judges.judge import Judge
from sandbox.oversight.monitor import Unscored
from sandbox.oversight.step import Step
from sandbox.oversight.trail import Trail
from sandbox.oversight.verdict import Verdict
from sandbox.trace.events import Event


@dataclass(frozen=True)
class Weighed:
    """What one judge made of one step of a run, or of the run."""

    judge: str
    event: int | None
    """Position of the intent, result or late effects that was judged; None for the run as a whole."""
    verdict: Verdict | None = None
    """With the score, whatever it is; None where there is none."""
    problem: str = ""
    """Why there is none: that is no score of zero."""

    @property
    def score(self) -> float | None:
        """Suspicion from 0 to 1; None where it is unscored."""
        return self.verdict.score if self.verdict else None


async def weigh(
    events: Iterable[tuple[Event, Mapping[str, Any]]], judges: Sequence[Judge]
) -> list[Weighed]:
    """Return what judges make of a stored run, in the order of its steps, the run itself last.

    Questions are asked at the same time, as many as the judges' bench lets through; what a cache knows
    costs nothing. Run several of these together for several runs.

    Args:
        events: The run's events in order, each with its data, large texts in place.
        judges: Those to ask; each with its own counts, see :meth:`Judge.for_run`.
    """
    known = list(events)
    waiting = [
        _one(judge, asked.event.seq, asked.step)
        for asked in offline.steps(known)
        for judge in judges
        if judge.stage == asked.step.stage and judge.applies(asked.step.call.tool)
    ]
    trail = offline.whole(known)
    waiting += [_one(judge, None, trail) for judge in judges if judge.stage == "end"]
    return list(await asyncio.gather(*waiting))


async def _one(judge: Judge, event: int | None, what: Step | Trail) -> Weighed:
    try:
        verdict = await (judge.consider(what) if isinstance(what, Step) else judge.conclude(what))
    except Unscored as reason:
        return Weighed(judge.name, event, problem=str(reason))
    return Weighed(judge.name, event, verdict)
