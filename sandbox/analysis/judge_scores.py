"""What judges score on stored runs: as they answered when they watched them, or asked now.

A run's score is the highest of all questions that a judge was asked about it. Where one of them has no
score, the run is unscored: what was not judged may have been the worst of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.models.base import Usage
from sandbox.monitors.judges.aggregation import combine, quorum_size
from sandbox.monitors.judges.judge import Judge
from sandbox.monitors.judges.offline import RunReview, review_runs
from sandbox.monitors.judges.usage import JudgeUsage
from sandbox.trace.call_events import JudgeReplyEvent
from sandbox.trace.event_types import of_kind
from sandbox.trace.events import EventContent
from sandbox.trace.run_events import JudgeDescription, JudgeUse, RunEndEvent, RunStartEvent
from sandbox.trace.store import Store

Events = Sequence[EventContent]


@dataclass(frozen=True)
class Judged:
    """What one judge made of one run."""

    score: float | None
    """The highest of all its questions, 0 where there was none to ask; None where one has no score."""
    alerts: bool = False
    """Whether one of them reached its threshold."""
    used: JudgeUsage = field(default_factory=JudgeUsage)
    """What it used."""


def of_trace(events: Events) -> dict[str, Judged]:
    """Return what the judges that watched a run made of it, from its trace.

    Args:
        events: The run's events in order, large texts in place.
    """
    start = next(of_kind(events[:1], RunStartEvent), None)
    described = (start[1].get("judges") or {}) if start else {}
    if not described:
        return {}
    end = next(of_kind(events[-1:], RunEndEvent), None)
    used = end[1].get("judges", {}) if end else {}
    replies = [reply for _, reply in of_kind(events, JudgeReplyEvent)]
    return {
        name: _of_replies(
            told, [reply for reply in replies if reply["monitor"] == name], used.get(name)
        )
        for name, told in described.items()
    }


async def ask(
    store: Store, runs: Sequence[str], judges: Sequence[Judge]
) -> AsyncIterator[tuple[str, dict[str, Judged]]]:
    """Yield runs with what judges make of them, each as it is done.

    What the trace or the judges' cache holds is not asked again.

    Args:
        store: Where the runs are.
        runs: Their ids.
        judges: Those to ask; each has a model.
    """

    def read(run: str) -> Iterator[EventContent]:
        return ((event, store.content(event)) for event in store.events(run))

    thresholds = {judge.name: judge.file.threshold for judge in judges}
    readers = ((run, lambda run=run: read(run)) for run in runs)
    async for review in review_runs(readers, judges):
        yield review.run, of_review(review, thresholds)


def of_review(review: RunReview, thresholds: Mapping[str, float]) -> dict[str, Judged]:
    """Return what judges made of a run that they were asked about now."""
    found = {}
    for name, threshold in thresholds.items():
        scores = [item.score for item in review.scores if item.judge == name]
        found[name] = _judged(scores, threshold, review.usage[name])
    return found


def _of_replies(
    told: JudgeDescription, replies: Iterable[JudgeReplyEvent], used: JudgeUse | None
) -> Judged:
    """Return what a judge made of a run, from its description and its replies in order."""
    wanted = len(told["models"]) * int(told["samples"])
    least = quorum_size(wanted, told["quorum"])
    scores = []
    for question in _questions(replies, wanted):
        given = [float(reply["score"]) for reply in question if reply["score"] is not None]
        scores.append(combine(told["combine"], given) if len(given) >= least else None)
    if used is not None:
        return _judged(scores, float(told["threshold"]), JudgeUsage(**used))
    return _judged(scores, float(told["threshold"]), _counted(replies, scores))


def _questions(replies: Iterable[JudgeReplyEvent], wanted: int) -> Iterator[list[JudgeReplyEvent]]:
    """Yield the last reply of each sample of each model, question by question."""
    question: list[JudgeReplyEvent] = []
    place: tuple[str, str] | None = None
    for reply in replies:
        here = str(reply["call"]), str(reply["stage"])
        if not reply["attempt"] and (here != place or len(question) == wanted):
            if question:
                yield question
            question, place = [], here
        if reply["attempt"] and question:
            question[-1] = reply
        else:
            question.append(reply)
    if question:
        yield question


def _counted(replies: Iterable[JudgeReplyEvent], scores: Sequence[float | None]) -> JudgeUsage:
    """Return what was used, where the run never came to its end and says so itself."""
    tally = JudgeUsage(asked=len(scores), unscored=scores.count(None))
    for reply in replies:
        if reply["cached"]:
            tally.cached += 1
            continue
        told = reply["usage"]
        usage = Usage(
            int(told["input_tokens"]),
            int(told["output_tokens"]),
            float(told["cost_eur"]),
            bool(told["price_known"]),
        )
        tally.begin()
        tally.end(usage, float(reply["seconds"]))
    return tally


def _judged(scores: Sequence[float | None], threshold: float, used: JudgeUsage) -> Judged:
    known = [score for score in scores if score is not None]
    highest = max(known, default=0.0)
    alerts = bool(known) and highest >= threshold
    return Judged(None if None in scores else highest, alerts, used)
