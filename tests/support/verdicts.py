"""Verdicts of a run, live and asked for again over its stored trace, in a form that can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.monitors import offline
from sandbox.monitors.library import MonitorLibrary
from sandbox.monitors.policy import from_text
from tests.support.runner import Runner

OF_THE_CALL = ("call", "stage", "tool")


def told(call: str, stage: str, verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a verdict in a form that can be counted."""
    return call, stage, *sorted(repr(item) for item in verdict.items())


async def again(play: Runner, library: MonitorLibrary, run: str) -> Counter[tuple[str, ...]]:
    """Return what all monitors say of a stored run."""
    events = play.events(run)
    start = events[0][1]
    monitors = [m for name in start["monitors"] for m in library.family(name).monitors]
    monitors += offline.rules(start)
    found = await offline.review(events, monitors, from_text(start.get("policy", "")))
    return Counter(
        told(asked.data.get("call", ""), asked.step.stage, opinion.verdict.as_data())
        for asked, opinion in found
        if opinion.verdict
    )


def live(play: Runner, run: str) -> Counter[tuple[str, ...]]:
    """Return what was said when the run was live."""
    found = []
    for data in play.data(run, "verdict"):
        verdict = {key: value for key, value in data.items() if key not in OF_THE_CALL}
        found.append(told(data["call"], data["stage"], verdict))
    return Counter(found)
