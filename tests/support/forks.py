"""One way to fork a run from a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.models.base import Source
from sandbox.runs.fork_plan import ForkChange, plan_fork
from sandbox.runs.planner import Planner
from sandbox.runs.run import run
from sandbox.runs.run_plan import RunPlan, RunResult
from tests.support.runner import Runner


def planned(play: Runner, parent: str, at: int, model: str | Source, **change: Any) -> RunPlan:
    """Return the plan of a fork."""
    names = "message", "result", "anyway"
    edits = {name: change.pop(name) for name in names if name in change}
    options = {name: value for name, value in change.items() if value is not None}
    options["model"] = model if isinstance(model, str) else "scripted/test"
    return plan_fork(
        play.store,
        play.store.run(parent),
        ForkChange(at, options, **edits),
        Planner(play.loader, play.library, play.backend),
        None if isinstance(model, str) else model,
    )


async def fork(
    play: Runner,
    parent: str,
    at: int,
    model: str | Source = "scripted/unsafe",
    *,
    mode: str | None = None,
    message: str = "",
    result: str | None = None,
    monitors: tuple[str, ...] | None = None,
    limits: Mapping[str, float] | None = None,
    anyway: bool = False,
) -> tuple[RunResult, dict[str, Any]]:
    """Fork a run; return what came of it, and what the trace says of the replayed part."""
    plan = planned(
        play,
        parent,
        at,
        model,
        mode=mode,
        message=message,
        result=result,
        monitors=monitors,
        limits=limits or {},
        anyway=anyway,
    )
    made = await run(plan, play.store)
    told = play.data(made.id, "run.fork")
    assert len(told) == 1
    return made, told[0]


def positions(play: Runner, run_id: str, kind: str) -> list[int]:
    """Return the positions of all events of one kind."""
    return [item.seq for item, _ in play.events(run_id, kind)]
