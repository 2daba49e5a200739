"""What monitors score on stored runs: each run's highest score of each monitor, over all its steps.

Runs are read and judged by several processes, each with a store and monitors of its own. Labels are
not read here: no monitor sees them.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

from sandbox.analysis.judge_scores import Events, Judged, of_trace
from sandbox.detectors.injection_compliance.features import ComplianceFeatures
from sandbox.enums import Decision, EventKind
from sandbox.monitors import offline
from sandbox.monitors.dispatch import MonitorDispatch
from sandbox.monitors.failing import failure
from sandbox.monitors.library import MonitorLibrary
from sandbox.scenario.content_paths import Content
from sandbox.scenario.stages import stages_of
from sandbox.scenario.toolkits import Catalogue
from sandbox.trace.event_types import of_kind
from sandbox.trace.run_events import RunStartEvent
from sandbox.trace.store import Store

CHUNK = 25
"""Runs that one process is handed at a time."""
MESSAGES = "message_count"
"""The baseline: how many messages the run has."""


@dataclass(frozen=True)
class Task:
    """What is to be scored, in a form that can be handed to another process."""

    store: str
    workspace: Path
    monitors: tuple[str, ...]
    """Names of families."""
    judges: tuple[str, ...] = ()
    """Names of the families of judges whose stored answers are wanted."""


@dataclass(frozen=True)
class Scored:
    """One run as monitors see it."""

    run: str
    scores: Mapping[str, float | None]
    """Monitor → its highest score, 0 where it had nothing to say; None where it failed."""
    alerts: tuple[str, ...]
    """Monitors that gave a verdict stricter than ``allow``."""
    calls: tuple[tuple[float, ...], ...]
    """The figures of each call; see :class:`sandbox.detectors.injection_compliance.features.Evidence`."""
    messages: int
    seconds: Mapping[str, float]
    """Monitor → time it took over all steps of the run."""
    steps: int
    group: Mapping[str, str] = field(default_factory=dict)
    """``family``, ``model`` and ``cluster`` of the run."""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """Judge → what it made of the run; only those that were asked about it."""


def score(task: Task, runs: Sequence[str], *, processes: int) -> Iterator[Scored]:
    """Yield every run with its scores, in the order of the runs.

    Args:
        task: The store and the monitors.
        runs: Ids of the runs.
        processes: How many processes work at the same time; 0 for this one alone.
    """
    if processes < 2 or len(runs) <= CHUNK:
        judge = _Judge(task)
        yield from map(judge.run, runs)
        judge.close()
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _start, (task,)) as pool:
        yield from pool.imap(_one, runs, chunksize=CHUNK)


class _Judge:
    """Scores runs in one process."""

    def __init__(self, task: Task) -> None:
        content = Content(task.workspace)
        library = MonitorLibrary(content, Catalogue(content))
        self._store = Store(task.store, read_only=True)
        self._monitors = [m for name in task.monitors for m in library.family(name).monitors]
        self._judges = frozenset(task.judges)
        self._dispatch = MonitorDispatch(self._monitors)

    def run(self, run: str) -> Scored:
        """Return one run with its scores."""
        events = [(event, self._store.content(event)) for event in self._store.events(run)]
        scores: dict[str, float | None] = {m.name: 0.0 for m in self._monitors}
        seconds = dict.fromkeys(scores, 0.0)
        alerts: dict[str, None] = {}
        calls: list[tuple[float, ...]] = []
        steps = 0
        for asked in offline.steps(events):
            step = asked.step
            steps += 1
            for monitor in self._dispatch.monitors(step.stage, step.call.tool)[0]:
                started = time.perf_counter()
                try:
                    verdict = monitor.judge(step)
                except Exception as error:  # noqa: BLE001 - a run that a monitor fails on is unscored
                    failure(monitor, error)
                    scores[monitor.name] = None
                    continue
                finally:
                    seconds[monitor.name] += time.perf_counter() - started
                before = scores[monitor.name]
                if verdict is not None and before is not None:
                    scores[monitor.name] = max(before, verdict.score)
                    if verdict.verdict != Decision.ALLOW:
                        alerts[monitor.name] = None
            if step.stage in stages_of("call"):  # last: who judges by it is timed with it
                calls.append(astuple(step.compliance[0]))
        messages = sum(
            event.kind in (EventKind.MESSAGE, EventKind.MODEL_REPLY, EventKind.TOOL_RESULT)
            for event, _ in events
        )
        empty = (astuple(ComplianceFeatures()),)
        return Scored(
            run,
            scores,
            tuple(alerts),
            tuple(calls) or empty,
            messages,
            seconds,
            steps,
            _group(next((start for _, start in of_kind(events[:1], RunStartEvent)), None)),
            self._judged(events),
        )

    def _judged(self, events: Events) -> dict[str, Judged]:
        """Return what the trace holds of the judges that are wanted."""
        found = of_trace(events) if self._judges else {}
        return {
            name: told for name, told in found.items() if name.partition(".")[0] in self._judges
        }

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _group(start: RunStartEvent | None) -> dict[str, str]:
    """Return what a run is counted with; runs of one task resemble each other and are one cluster."""
    if start is None:
        return {"family": "", "model": "", "cluster": ""}
    told = start.get("evaluation") or {}
    cluster = "/".join(str(told[key]) for key in ("suite", "user_task") if told.get(key))
    return {
        "family": str(start.get("family", "")),
        "model": str(start.get("model", "")),
        "cluster": cluster or str(start.get("scenario", "")),
    }


_JUDGE: list[_Judge] = []


def _start(task: Task) -> None:
    _JUDGE.append(_Judge(task))


def _one(run: str) -> Scored:
    return _JUDGE[0].run(run)
