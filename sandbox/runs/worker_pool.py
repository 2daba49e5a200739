"""Runs executed many at once, in this process or spread over forks of it.

One event loop uses one processor, and starting containers and asking monitors keeps it busy. A crew is
made before there is a loop or a thread: each of its processes is a fork that has all that was loaded,
and a loop and a connection to the store of its own. A key says which run is meant, so that no plan,
model or monitor has to be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

from sandbox.agents.scaffolds import REACT
from sandbox.errors import EnvironmentFault, InternalError, SandboxError, first, internal
from sandbox.guest.hardening import end_with_parent
from sandbox.isolation import zygote_client
from sandbox.runs.run import run
from sandbox.runs.run_plan import Progress, RunPlan, RunResult, Watchers
from sandbox.trace.store import Store

RUNS_EACH = 25
"""Runs from which on another process is worth its start."""
_GARBAGE = 100_000, 20, 20
"""Python's own threshold of 700 objects costs a tenth of the time; so many are some ten megabytes."""
_END_SECONDS = 10.0

Make = Callable[[Any], RunPlan]
"""From a key to the plan of a run."""
Done = Callable[[RunPlan, RunResult], None]


class Runner(Protocol):
    """What executes runs."""

    async def run(self, key: Any, watchers: Watchers = ()) -> RunResult:
        """Execute the run that a key means; see :func:`sandbox.runs.run.run`."""


@dataclass(frozen=True)
class Here:
    """This process."""

    make: Make
    store: Store

    async def run(self, key: Any, watchers: Watchers = ()) -> RunResult:
        """Execute a run."""
        return await run(self.make(key), self.store, watchers)


def processes_for(runs: int, at_once: int) -> int:
    """Return over how many processes it is worth to spread runs."""
    return max(1, min(len(os.sched_getaffinity(0)), at_once, runs // RUNS_EACH))


@contextmanager
def spread(
    make: Make, store: Store, processes: int, kinds: Sequence[str] | None = None
) -> Iterator[Runner]:
    """Give what executes runs: this process, or a crew of several; around the event loop.

    Args:
        make: Makes the plan of a run.
        store: Where the traces go.
        processes: How many.
        kinds: Kinds of event that watchers receive; all if omitted.
    """
    REACT.graph()  # LangGraph is loaded once for all
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # else a collection goes over all of it again and, in a fork, copies it
    gc.set_threshold(*_GARBAGE)
    try:
        if processes > 1:
            with closing(Crew(make, store, processes, kinds)) as crew:
                yield crew
        else:
            yield Here(make, store)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Waiter(NamedTuple):
    result: asyncio.Future[RunResult]
    watchers: Watchers


@dataclass
class _Hand:
    process: Any
    pipe: Connection
    busy: dict[int, _Waiter] = field(default_factory=dict)
    """Number of a run → who waits for it."""
    loop: asyncio.AbstractEventLoop | None = None
    """Which listens to it."""


class Crew:
    """Forks of this process that execute runs, until it is closed; see :func:`spread`."""

    def __init__(
        self, make: Make, store: Store, processes: int, kinds: Sequence[str] | None = None
    ) -> None:
        """Fork.

        Args:
            make: Makes the plan of a run; called in a fork, with keys that can be pickled.
            store: Each fork opens it for itself.
            processes: How many.
            kinds: Kinds of event that watchers receive; all if omitted.
        """
        forking = multiprocessing.get_context("fork")
        processors = sorted(os.sched_getaffinity(0))
        self._hands: list[_Hand] = []
        self._number = 0
        try:
            for number in range(processes):
                ours, theirs = forking.Pipe()
                others = [hand.pipe for hand in self._hands] + [ours]
                processor = processors[number % len(processors)]
                member = _Member(make, store.url, theirs, kinds, os.getpid(), processor)
                process = forking.Process(
                    target=member.serve, args=(others,), name=f"runs-{number}", daemon=True
                )
                process.start()
                theirs.close()
                self._hands.append(_Hand(process, ours))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes; what they still run is interrupted."""
        for hand in self._hands:
            hand.pipe.close()
        for hand in self._hands:
            hand.process.join(_END_SECONDS)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()

    async def run(self, key: Any, watchers: Watchers = ()) -> RunResult:
        """Execute a run in the process that has the least to do.

        Raises:
            EnvironmentFault: The process ended; its runs are marked by the next command.
        """
        hand = min(self._living(), key=lambda each: len(each.busy))
        loop = asyncio.get_running_loop()
        if hand.loop is not loop:
            hand.loop = loop
            loop.add_reader(hand.pipe.fileno(), self._hear, hand, loop)
        number, self._number = self._number, self._number + 1
        result: asyncio.Future[RunResult] = loop.create_future()
        hand.busy[number] = _Waiter(result, watchers)
        try:
            hand.pipe.send((number, key))
            return await asyncio.shield(result)
        except OSError:
            self._lose(hand, loop)
            return await result
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                hand.pipe.send((number, _Stop()))
            await asyncio.wait({result})  # until its container is closed and the store says so
            raise
        finally:
            if result.done() and not result.cancelled():
                result.exception()  # it is raised already, or was interrupted by request
            del hand.busy[number]

    def _living(self) -> list[_Hand]:
        if hands := [hand for hand in self._hands if not hand.pipe.closed]:
            return hands
        raise EnvironmentFault("the processes that execute runs have ended")

    def _hear(self, hand: _Hand, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while hand.pipe.poll():
                number, message = hand.pipe.recv()
                waiter = hand.busy.get(number)
                if waiter is not None and not waiter.result.done():
                    self._notify(waiter, message)
        except (EOFError, OSError):
            self._lose(hand, loop)

    def _notify(self, waiter: _Waiter, message: Progress | BaseException | RunResult) -> None:
        if isinstance(message, Progress):
            for watcher in waiter.watchers:
                watcher(message)
        elif isinstance(message, BaseException):
            waiter.result.set_exception(message)
        else:
            waiter.result.set_result(message)

    def _lose(self, hand: _Hand, loop: asyncio.AbstractEventLoop) -> None:
        if hand.pipe.closed:
            return
        loop.remove_reader(hand.pipe.fileno())
        hand.pipe.close()
        hand.process.join(_END_SECONDS)
        reason = f"a process that executed runs ended with status {hand.process.exitcode}"
        for waiter in hand.busy.values():
            if not waiter.result.done():
                waiter.result.set_exception(EnvironmentFault(reason))


class _Stop:
    """Requests the end of a run."""


class _Stopped(Exception):
    """A run was ended by request."""


@dataclass
class _Member:
    make: Make
    url: str
    pipe: Connection
    kinds: Sequence[str] | None
    parent: int
    processor: int
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def serve(self, others: Sequence[Connection]) -> None:
        """Execute runs until the other end of the pipe is closed, or its process is gone."""
        end_with_parent()
        if os.getppid() != self.parent:
            return
        # Its guests stay there as well, which wait for it and it for them; their commands do not.
        os.sched_setaffinity(0, {self.processor})
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says what is to be stopped
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for other in others:
            other.close()
        with contextlib.suppress(BrokenPipeError), Store(self.url) as store:
            asyncio.run(self._work(store))
        zygote_client.close()

    async def _work(self, store: Store) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.pipe.fileno(), self._hear, Here(self.make, store), over)
        await over.wait()
        loop.remove_reader(self.pipe.fileno())
        for task in self.tasks.values():
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks.values())

    def _hear(self, here: Here, over: asyncio.Event) -> None:
        try:
            number, key = self.pipe.recv()
        except (EOFError, OSError):
            over.set()
            return
        if not isinstance(key, _Stop):
            self.tasks[number] = asyncio.create_task(self._one(here, number, key))
        elif number in self.tasks:
            self.tasks[number].cancel()

    async def _one(self, here: Here, number: int, key: Any) -> None:
        def watch(progress: Progress) -> None:
            if self.kinds is None or progress.kind in self.kinds:
                self.pipe.send((number, progress))

        message: RunResult | Exception
        try:
            message = await here.run(key, (watch,))
        except asyncio.CancelledError:
            message = _Stopped()
        except Exception as error:  # noqa: BLE001 - it is raised in the process that waits for the run
            message = _portable(error)
        del self.tasks[number]
        with contextlib.suppress(OSError):
            self.pipe.send((number, message))


def _portable(error: Exception) -> Exception:
    """Return an error that reaches the other process; where a fault of ours is, stands in its words then."""
    if not isinstance(error, SandboxError):
        return InternalError(internal(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever an error holds
        return EnvironmentFault(f"{type(error).__name__}: {error}")
    return error


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
