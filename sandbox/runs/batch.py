"""Many runs, so many at once: each ends with a result of its own, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sandbox.errors import first
from sandbox.runs.run_plan import RunPlan, RunResult, Watchers
from sandbox.runs.worker_pool import Here, Runner
from sandbox.trace.store import Store

Done = Callable[[RunPlan, RunResult], None]


async def execute(
    plans: Sequence[RunPlan],
    store: Store,
    *,
    at_once: int,
    watchers: Watchers = (),
    done: Done | None = None,
    runner: Runner | None = None,
) -> tuple[RunResult, ...]:
    """Execute runs, at most ``at_once`` at a time; return their results in the order of the plans.

    Args:
        plans: What is to be run.
        store: Where the traces go.
        at_once: Runs, and so containers, at the same time.
        watchers: Called with every event of every run.
        done: Called with each result as it comes.
        runner: Executes the run at a position among the plans; this process if omitted.

    Raises:
        SandboxError: The store broke: what was stored stays, what runs is stopped.
        Exception: A fault of the sandbox itself.
    """
    results: dict[int, RunResult] = {}
    waiting = iter(enumerate(plans))
    workers = runner or Here(plans.__getitem__, store)

    async def work() -> None:
        for index, plan in waiting:
            results[index] = await workers.run(index, watchers)
            if done:
                done(plan, results[index])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(plans))):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise first(errors) from None
    return tuple(results[index] for index in sorted(results))
