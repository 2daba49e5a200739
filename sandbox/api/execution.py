"""Executing runs to their end, from a command, a script or a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from sandbox.api.progress import LiveView
from sandbox.runs.run_plan import RunPlan, RunResult
from sandbox.runs.worker_pool import Runner, execute, spread
from sandbox.trace.store import Store

Result = TypeVar("Result")
_POLL_SECONDS = 0.1
Work = Callable[[], Coroutine[object, object, Result]]


def usual_width() -> int:
    """Return how many runs there are at once on this machine, if nobody says."""
    return 2 * (os.cpu_count() or 1) + 2


def in_event_loop() -> bool:
    """Return whether this thread has an event loop that runs, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def execute_plans(
    plans: Sequence[RunPlan],
    store: Store,
    view: LiveView,
    width: int = 1,
    processes: int = 1,
    stop_on: Sequence[signal.Signals] = (),
) -> tuple[RunResult, ...]:
    """Execute runs under a view.

    Args:
        plans: What is to be run.
        store: Where the traces go.
        view: Sees them.
        width: Runs, and so containers, at the same time.
        processes: Processes that share the runs.
        stop_on: Signals that stop them beside SIGINT.

    Raises:
        KeyboardInterrupt: They were stopped: what had finished is stored, the rest is marked interrupted.
        StoreError: The store cannot be written.
    """
    with spread(plans.__getitem__, store, processes, view.kinds) as runner, view:
        return to_end(lambda: execute_here(plans, store, view, width, runner), stop_on)


async def execute_here(
    plans: Sequence[RunPlan], store: Store, view: LiveView, width: int, runner: Runner | None = None
) -> tuple[RunResult, ...]:
    """Execute runs in this event loop; see :func:`execute_plans`."""
    return await execute(
        plans, store, at_once=width, watchers=(view.watch,), done=view.finish, runner=runner
    )


def to_end(work: Work[Result], stop_on: Sequence[signal.Signals] = ()) -> Result:
    """Return what comes of work; if this thread has an event loop already, in a thread of its own.

    Args:
        work: Makes the coroutine.
        stop_on: Signals that stop it beside SIGINT; in the main thread without a loop only.

    Raises:
        KeyboardInterrupt: It was stopped, and has cleaned up.
    """
    if in_event_loop():
        return _in_thread(work)

    async def stoppable() -> Result:
        task = asyncio.current_task()
        assert task is not None
        for number in stop_on:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work()

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _in_thread(work: Work[Result]) -> Result:
    stop: Future[Callable[[], object]] = Future()

    async def stoppable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await work()

    with ThreadPoolExecutor(1, "sandbox-runs") as pool:
        result = pool.submit(lambda: asyncio.run(stoppable()))
        try:
            return _wait_for(result)
        except KeyboardInterrupt:
            with contextlib.suppress(RuntimeError):  # it has ended already
                stop.result()()
            raise


def _wait_for(result: Future[Result]) -> Result:
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    while not wait([result], _POLL_SECONDS).done:
        # asyncio.run answers the first SIGINT by cancelling its task, which cannot hear of it here
        if task and task.cancelling() > before:
            raise KeyboardInterrupt
    return result.result()
