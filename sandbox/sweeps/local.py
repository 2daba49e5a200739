"""Execution on one machine: one event loop begins the runs, so many at once for each provider and in all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sandbox.enums import EventKind
from sandbox.errors import TakenError
from sandbox.runs.run_plan import Watchers
from sandbox.runs.worker_pool import Make, Runner
from sandbox.sweeps.adaptive_concurrency import AdaptiveLimit
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.log import log_retry
from sandbox.sweeps.store import ItemRow
from sandbox.sweeps.sweep_state import Course, ItemOutcome

EVENT_KINDS = (EventKind.MODEL_REPLY, EventKind.MODEL_RETRY)
"""Kinds of event that the pace of a provider depends on."""


@dataclass(frozen=True)
class Machine:
    """This machine."""

    runner: Runner
    """Executes the runs of :func:`plan_maker`."""
    planner: ItemPlanner
    at_once: int
    """Runs, and so containers, at the same time."""
    watchers: Watchers = ()

    async def execute(self, course: Course) -> None:
        """Execute all that is planned, as far as budgets go.

        Raises:
            StoreError: The store broke; runs that went on are abandoned.
        """
        free = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as group:
            for provider, pace in course.paces.items():
                group.create_task(_Lane(self, course, provider, pace, free).drive())


def plan_maker(planner: ItemPlanner) -> Make:
    """Return what makes the plan of a run, given an item as plain data."""
    return lambda item: planner.plan(ItemRow(**item))


@dataclass(frozen=True)
class _Lane:
    """The runs of one provider's models: a slow or refusing one holds up no other."""

    machine: Machine
    course: Course
    provider: str
    pace: AdaptiveLimit
    free: asyncio.Semaphore

    async def drive(self) -> None:
        """Begin what is planned, and again what is planned again after a fault."""
        while await self._pass():
            pass

    async def _pass(self) -> bool:
        sweep, item = self.course.sweep.id, None
        async with asyncio.TaskGroup() as group:
            for item in self.course.sweeps.items(sweep, provider=self.provider, status="planned"):
                await self.pace.enter()
                await self.free.acquire()
                if self.course.is_halted(self.provider):
                    self._leave()
                    return False
                self.course.start(item)
                group.create_task(self._one(item))
        return item is not None

    async def _one(self, item: ItemRow) -> None:
        machine, outcome, again = self.machine, None, False
        try:
            watchers = (self.pace.watch, log_retry, *machine.watchers)
            result = await machine.runner.run(item.model_dump(), watchers)
            outcome = ItemOutcome.of(result)
            again = machine.planner.slot(item).is_retry(result)
        except TakenError:
            pass  # it was skipped since it was read
        finally:
            self.course.end(item, outcome, again=again)
            self._leave()

    def _leave(self) -> None:
        self.free.release()
        self.pace.leave()
