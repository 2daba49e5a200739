"""Judges over stored runs: every step and every end, all scores, many questions at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.enums import Stage
from sandbox.monitors import offline
from sandbox.monitors.judge_reply import JudgeAnswer
from sandbox.monitors.judges.cache import CachedAnswer
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.usage import JudgeUsage
from sandbox.monitors.monitor import Unscored
from sandbox.monitors.run_context import RunContext
from sandbox.monitors.step import Step
from sandbox.monitors.verdict import Verdict
from sandbox.trace.call_events import JudgeReplyEvent
from sandbox.trace.event_types import of_kind
from sandbox.trace.events import EventContent

Events = Iterable[EventContent]
"""A run's events in order."""
RUNS_AT_ONCE = 8
"""Runs that are held in memory at the same time."""


@dataclass(frozen=True)
class JudgeScore:
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


@dataclass(frozen=True)
class RunReview:
    """What judges made of one stored run."""

    run: str
    scores: tuple[JudgeScore, ...]
    """In the order of the run's steps, the run itself last."""
    usage: Mapping[str, JudgeUsage]
    """Judge → what it used."""


async def review_runs(
    runs: Iterable[tuple[str, Callable[[], Events]]],
    judges: Sequence[Judge],
    at_once: int = RUNS_AT_ONCE,
) -> AsyncIterator[RunReview]:
    """Yield what judges make of stored runs, each as it is done, holding only some at a time.

    Args:
        runs: Id of each run, and what reads its events.
        judges: Those to ask.
        at_once: Runs at the same time; how many questions, is for the judges' pool to say.
    """
    under_way: set[asyncio.Task[RunReview]] = set()
    try:
        for run, read in runs:
            under_way.add(asyncio.create_task(review_run(run, read(), judges)))
            if len(under_way) >= at_once:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        for next_one in asyncio.as_completed(list(under_way)):
            yield await next_one
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def review_run(run: str, events: Events, judges: Sequence[Judge]) -> RunReview:
    """Return what judges make of one stored run.

    Questions are asked at the same time, as many as the judges' pool lets through. What a cache
    knows, or the run itself where the same judges watched it live, is not asked again.
    """
    known = list(events)
    mine = [judge.for_run() for judge in judges]
    for judge in mine:
        remember(judge, known)
    waiting = [
        _one(judge, asked.event.seq, asked.step)
        for asked in offline.steps(known)
        for judge in mine
        if judge.stage == asked.step.stage and judge.applies(asked.step.call.tool)
    ]
    ends = [judge for judge in mine if judge.stage == Stage.END]
    if ends:
        context = offline.run_context(known)
        waiting += [_one(judge, None, context) for judge in ends]
    found = tuple(await asyncio.gather(*waiting))
    return RunReview(run, found, {judge.name: judge.usage for judge in mine})


async def _one(judge: Judge, event: int | None, what: Step | RunContext) -> JudgeScore:
    try:
        verdict = await (
            judge.judge_step(what) if isinstance(what, Step) else judge.judge_run(what)
        )
    except Unscored as reason:
        return JudgeScore(judge.name, event, problem=str(reason))
    return JudgeScore(judge.name, event, verdict)


def remember(judge: Judge, events: Events) -> None:
    """Take the answers that were given live into a judge's cache: the key says to what question."""
    for _, reply in of_kind(events, JudgeReplyEvent):
        score, key = reply["score"], reply["key"]
        if score is not None and judge.cache.get(key) is None:
            answer = JudgeAnswer(float(score), reply["reason"])
            judge.cache.put(key, CachedAnswer(answer, reply["answered_by"]))
