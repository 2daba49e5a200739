"""Sweeps from Python: ``sandbox.sweep``, ``sandbox.sweep_async``, and what ``sandbox sweep`` executes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from sandbox.api.calls import Where, by_name
from sandbox.api.execution import Work, in_event_loop, to_end, usual_width
from sandbox.api.sweep_progress import SweepView
from sandbox.api.sweep_results import SweepResults
from sandbox.api.workspace import Workspace
from sandbox.errors import InputError, nearest
from sandbox.runs.worker_pool import processes_for, spread
from sandbox.sweeps import lease, matrix, spec
from sandbox.sweeps.budget import UNITS
from sandbox.sweeps.item_plans import ItemPlanner
from sandbox.sweeps.lifecycle import Executor, claim_sweep, conduct
from sandbox.sweeps.local import EVENT_KINDS, Machine, plan_maker
from sandbox.sweeps.matrix import Matrix
from sandbox.sweeps.options import SweepOptions
from sandbox.sweeps.retention import retain
from sandbox.sweeps.spec import Budget, SweepFile
from sandbox.sweeps.store import NewSweep, Sweeps
from sandbox.sweeps.sweep_state import Course
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store

_UNBOUND = 1_000_000
"""Runs at once on a cluster, whose scheduler knows its workers."""
SweepSource = str | os.PathLike[str] | Mapping[str, object]
"""A sweep file, or what would stand in it."""


@dataclass(frozen=True, kw_only=True)
class SweepCall(SweepOptions, Where):
    """What :func:`sweep` takes by name."""


@by_name(SweepCall)
def sweep(file: SweepSource, call: SweepCall) -> SweepResults:
    """Execute a matrix of runs and return how it ended, and the result of each run.

    It works under a running event loop too, as in a notebook. Nothing goes to stdout. One that is
    stopped, or ran out of budget, is continued by ``sandbox sweep resume``.

    Args:
        file: The sweep file, or what would stand in it.
        call: The options, by name.

    Raises:
        InputError: Something in the file is wrong.
        TakenError: A sweep of this name is being executed.
        EnvironmentFault: This machine cannot isolate an agent, or the cluster not be reached.
        StoreError: The store cannot be opened or written.
    """
    if in_event_loop() or threading.active_count() > 1:  # a fork would have half of the threads
        call = replace(call, processes=call.processes or 1)
    with _execution(file, call) as execution:
        return SweepResults.of(execution.store, execution.execute())


@by_name(SweepCall)
async def sweep_async(file: SweepSource, call: SweepCall) -> SweepResults:
    """Execute a matrix of runs in this event loop; see :func:`sweep`. Cancelling it stops the sweep."""
    with _execution(file, replace(call, processes=1)) as execution, execution.ready() as work:
        return SweepResults.of(execution.store, await work())


@contextmanager
def _execution(file: SweepSource, call: SweepCall) -> Iterator[Execution]:
    with call.open() as (workspace, store):
        runs = prepare(workspace, file, call.budget)
        row = enter(store, runs)
        view = SweepView(row, quiet=call.quiet)
        yield Execution(workspace, store, row, runs.spec, call, view)


def prepare(workspace: Workspace, file: SweepSource, budget: Mapping[str, float]) -> Matrix:
    """Return a sweep's matrix, every name in it checked.

    Args:
        workspace: Of its scenarios.
        file: The file, or what would stand in it.
        budget: Unit → amount in place of the file's.

    Raises:
        InputError: Something is wrong, by file and line.
    """
    sweep_file, document = spec.of(file) if isinstance(file, Mapping) else spec.read(Path(file))
    return matrix.prepare(
        with_budget(sweep_file, budget), document, workspace.loader, workspace.library
    )


def with_budget(sweep_file: SweepFile, budget: Mapping[str, float]) -> SweepFile:
    """Return a sweep file with budgets in place of its own.

    Raises:
        InputError: A unit is unknown, or an amount not one.
    """
    for name in budget:
        if name not in UNITS:
            raise InputError(f"budget: unknown key {name!r}{nearest(name, UNITS)}")
    try:
        values = Budget.model_validate({**sweep_file.budget.model_dump(), **budget})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"budget: {first['loc'][0]}: {first['msg'].lower()}") from None
    return sweep_file.model_copy(update={"budget": values})


def enter(store: Store, runs: Matrix) -> SweepRow:
    """Enter a new sweep into a store.

    Raises:
        InputError: It has no runs.
        TakenError: A sweep of this name is being executed.
    """
    lease.check_free(store, runs.spec.name)
    data = runs.spec.model_dump(mode="json", by_alias=True)
    return Sweeps(store).create(NewSweep(runs.spec.name, data, runs.digests(), runs.items()))


def width_of(sweep_file: SweepFile, options: SweepOptions) -> int:
    """Return how many runs there are at once on this machine."""
    return options.at_once or sweep_file.concurrency.containers or usual_width()


@dataclass(frozen=True)
class Execution:
    """What is left of a sweep, and how it is executed: here with all processors, or on a cluster."""

    workspace: Workspace
    store: Store
    row: SweepRow
    spec: SweepFile
    """Its file, with budgets as they hold this time."""
    options: SweepOptions
    view: SweepView

    def execute(self, stop_on: Sequence[signal.Signals] = ()) -> Course:
        """Execute it, and return its course.

        Args:
            stop_on: Signals that stop it beside SIGINT.

        Raises:
            KeyboardInterrupt: It was stopped; it can be resumed.
            SandboxError: It could not go on; the row says why.
        """
        try:
            with self.ready() as work:
                return to_end(work, stop_on)
        except KeyboardInterrupt:
            self.workspace.note(
                f"stopped: what had finished is stored. Go on: sandbox sweep resume {self.row.id}"
            )
            raise

    @contextmanager
    def ready(self) -> Iterator[Work[Course]]:
        """Claim the sweep, make ready what executes its items, and give what does it all."""
        width = _UNBOUND if self.options.cluster else width_of(self.spec, self.options)
        sweeps = Sweeps(self.store)
        with claim_sweep(self.store, self.row) as claim, self._executor() as executor, self.view:
            row = sweeps.get(self.row.id)
            course = Course.of(sweeps, row, self.spec, width, self.view.finish)
            self.view.shows(course)

            async def work() -> Course:
                self._retain(await conduct(self.store, claim, course, executor))
                return course

            yield work

    def _retain(self, row: SweepRow) -> None:
        """Delete earlier sweeps of the name that are older than the file says."""
        if self.spec.retention is None or row.status != "finished":
            return
        keep = self.spec.baseline.sweep if self.spec.baseline else None
        purged = retain(self.store, row, self.spec.retention.nights, keep=keep)
        if purged.runs:
            self.workspace.note(
                f"{purged.runs} runs of earlier nights were purged, as the file says"
            )

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        if self.options.cluster:
            yield self._cluster(self.options.cluster)
            return
        backend = self.workspace.backend(self.spec.isolation, self.spec.image)
        planner = ItemPlanner(
            self.workspace.planner(backend), self.row.scenarios, self.spec.retries
        )
        planner.check(self.spec.all_models())
        width, left = width_of(self.spec, self.options), Sweeps(self.store).counts(self.row.id)
        processes = self.options.processes or processes_for(left[()].left, width)
        with spread(plan_maker(planner), self.store, processes, EVENT_KINDS) as runner:
            yield Machine(runner, planner, width)

    def _cluster(self, address: str) -> Executor:
        from importlib.metadata import version

        from sandbox.isolation.process_identity import Owner
        from sandbox.sweeps.cluster import Cluster
        from sandbox.sweeps.worker import Setup

        url = self.store.url
        setup = Setup(
            sweep=self.row.id,
            version=version("agent-risk-sandbox"),
            workspace=str(self.workspace.folder.resolve()),
            isolation=self.spec.isolation,
            image=self.spec.image,
            digests=self.row.scenarios,
            retries=self.spec.retries,
            store=None if url.startswith("sqlite") else url,
            owner=Owner.current().label,
        )
        return Cluster(self.store, setup, address)
