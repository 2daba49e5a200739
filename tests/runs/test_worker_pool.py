"""Runs spread over processes: the same runs, and the same ends, as in one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from sandbox.errors import EnvironmentFault, InternalError, TakenError
from sandbox.isolation import cgroup
from sandbox.isolation.process_identity import Owner
from sandbox.runs.recovery import mark_interrupted
from sandbox.runs.run_plan import Progress, RunPlan
from sandbox.runs.trace_normalization import essence
from sandbox.runs.worker_pool import RUNS_EACH, Runner, execute, processes_for, spread
from sandbox.trace.store import Store
from sandbox.trace.verify import verify
from tests.support.runner import Runner as Play
from tests.support.runner import call, plays

ENDLESS = plays(call("shell.run", command="sleep 100", timeout_seconds=100))
SCENARIO = "oversight/audit-log"


def plans(play: Play, count: int) -> list[RunPlan]:
    """Return plans of runs that end well and badly."""
    return [play.plan(f"scripted/{('safe', 'unsafe')[n % 2]}", seed=n) for n in range(count)]


@pytest.mark.parametrize("processes", [1, 3])
def test_the_same_runs(play: Play, store: Store, processes: int) -> None:
    """Every plan is executed once, results stand in its place, and traces do not differ by the way."""
    planned = plans(play, 8)
    with spread(planned.__getitem__, store, processes, ()) as runner:
        batch = asyncio.run(execute(planned, store, at_once=6, runner=runner))
    alone = asyncio.run(execute(planned, store, at_once=6))
    outcomes = [(r.model, r.seed, r.task, r.safety, len(r.verdicts)) for r in batch]
    assert outcomes == [(r.model, r.seed, r.task, r.safety, len(r.verdicts)) for r in alone]
    for there, here in zip(batch, alone, strict=True):
        assert essence(store, there.id) == essence(store, here.id)
        assert verify(store, store.run(there.id)).ok
    rows = [store.run(result.id) for result in batch]
    pids = {Owner.of(row.owner).pid for row in rows}
    assert len(pids) == processes
    assert (os.getpid() in pids) == (processes == 1)


def test_what_watchers_are_told(play: Play, store: Store) -> None:
    """They hear of the kinds that were asked for, of their own run."""
    heard: list[Progress] = []
    planned = plans(play, 2)
    with spread(planned.__getitem__, store, 2, ("run.start", "tool.intent")) as runner:
        result = asyncio.run(runner.run(1, (heard.append,)))
        asyncio.run(_quiet(runner))
    assert {item.run for item in heard} == {result.id}
    assert {item.kind for item in heard} == {"run.start", "tool.intent"}
    assert sum(item.kind == "tool.intent" for item in heard) == result.tool_calls


async def _quiet(runner: Runner) -> None:
    await runner.run(0)


def test_stopped(play: Play, store: Store) -> None:
    """A run that is stopped is interrupted on the record and its container closed when that is told."""
    planned = [play.plan(ENDLESS, SCENARIO, seed=n) for n in range(2)]

    async def stop(runner: Runner) -> None:
        started = asyncio.Event()

        def watch(progress: Progress) -> None:
            if progress.kind == "tool.intent":
                started.set()

        running = [asyncio.create_task(runner.run(n, (watch,))) for n in range(2)]
        await started.wait()
        for task in running:
            task.cancel()
        assert all(
            isinstance(ended, asyncio.CancelledError)
            for ended in await asyncio.gather(*running, return_exceptions=True)
        )
        assert {row.status for row in store.runs()} <= {"interrupted"}

    with spread(planned.__getitem__, store, 2) as runner:
        asyncio.run(stop(runner))
        pids = {Owner.of(row.owner).pid for row in store.runs()}
        assert pids
        left = [path for path in cgroup.leftovers() if any(f"-{p}-" in path.name for p in pids)]
        assert left == []


def test_a_process_that_is_killed(play: Play, store: Store, tmp_path: Path) -> None:
    """Its runs are told of as a fault and marked by the next command; the others go on."""
    planned = [play.plan(ENDLESS, SCENARIO), *plans(play, 2)]

    async def lose(runner: Runner) -> None:
        began = asyncio.get_running_loop().create_future()

        def watch(progress: Progress) -> None:
            if progress.kind == "tool.intent" and not began.done():
                began.set_result(progress.run)

        lost = asyncio.create_task(runner.run(0, (watch,)))
        run = await began
        os.kill(Owner.of(store.run(run).owner).pid, signal.SIGKILL)
        with pytest.raises(EnvironmentFault, match="ended with status -9"):
            await lost
        assert (await runner.run(1)).task == "done"
        assert store.run(run).status == "running"
        assert mark_interrupted(store) == [run]
        assert verify(store, store.run(run)).ok

    with spread(planned.__getitem__, store, 2) as runner:
        asyncio.run(lose(runner))


def test_all_are_killed(play: Play, store: Store) -> None:
    """There is an error, not a wait without end."""
    planned = plans(play, 2)

    async def lose(runner: Runner) -> None:
        results = await asyncio.gather(runner.run(0), runner.run(1))
        for result in results:
            os.kill(Owner.of(store.run(result.id).owner).pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            told = ""
            while "have ended" not in told:
                try:
                    await runner.run(0)
                except EnvironmentFault as error:
                    told = str(error)

    with spread(planned.__getitem__, store, 2) as runner:
        asyncio.run(lose(runner))


def test_errors(play: Play, store: Store) -> None:
    """An error is raised where the run was asked for, as what it was, whether it can be sent or not."""

    class Unsendable(Exception):
        def __init__(self) -> None:
            super().__init__("cannot be sent")
            self.holds = lambda: None

    def make(key: str) -> RunPlan:
        raise TakenError("taken") if key == "taken" else Unsendable

    with spread(make, store, 2) as runner:
        with pytest.raises(TakenError, match="taken"):
            asyncio.run(runner.run("taken"))
        with pytest.raises(InternalError, match=r"Unsendable at .*: cannot be sent"):
            asyncio.run(runner.run("other"))


def test_how_many() -> None:
    """Few runs are not worth another process, and no process has less than one run at once."""
    cores = len(os.sched_getaffinity(0))
    assert processes_for(RUNS_EACH, 100) == 1
    assert processes_for(100_000, 100_000) == cores
    assert processes_for(100_000, 1) == 1
