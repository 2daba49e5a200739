"""Running scenarios: ``sandbox.run``, ``sandbox.run_async``, and the batch that ``sandbox run`` executes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandbox.agents.scaffolds import Driver
from sandbox.api.approval import Person, decider_for
from sandbox.api.calls import Names, Where, by_name, names
from sandbox.api.execution import execute_here, execute_plans, in_event_loop, usual_width
from sandbox.api.progress import LiveView
from sandbox.api.results import Results
from sandbox.api.workspace import Workspace
from sandbox.runs.fork_plan import ForkChange, plan_fork, start_of
from sandbox.runs.options import RunOptions
from sandbox.runs.run_plan import RunPlan, RunResult
from sandbox.runs.worker_pool import processes_for
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


@dataclass(frozen=True, kw_only=True)
class RunCall(RunOptions, Where):
    """What :func:`run` takes by name."""


@by_name(RunCall)
def run(what: Names, call: RunCall) -> Results:
    """Run scenarios with a model, store every trace, and return the result of each run.

    It works under a running event loop too, as in a notebook. Nothing goes to stdout.

    Args:
        what: Scenarios, families, folders, suites; ``@variant`` behind; one or several.
        call: The options, by name.

    Raises:
        InputError: Something that is given names nothing, or does not fit.
        EnvironmentFault: This machine cannot isolate an agent.
        StoreError: The store cannot be opened or written.
    """
    if in_event_loop() or threading.active_count() > 1:  # a fork would have half of the threads
        call = replace(call, processes=call.processes or 1)
    with call.open() as (workspace, store):
        return RunBatch.of(workspace, what, call, quiet=call.quiet).execute(store)


@by_name(RunCall)
async def run_async(what: Names, call: RunCall) -> Results:
    """Run scenarios in this event loop; see :func:`run`. Cancelling it closes their containers."""
    with call.open() as (workspace, store):
        batch = RunBatch.of(workspace, what, call, quiet=call.quiet)
        with batch.view:
            return batch.results(await execute_here(batch.plans, store, batch.view, batch.width))


@dataclass(frozen=True)
class RunBatch:
    """Runs that are planned: all input is checked, nothing has begun."""

    plans: Sequence[RunPlan]
    view: LiveView
    width: int = 1
    """Runs at the same time."""
    processes: int = 1

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        what: Names,
        options: RunOptions,
        *,
        quiet: bool = False,
        ask: bool = False,
        scaffold: Driver | None = None,
    ) -> RunBatch:
        """Plan runs.

        Args:
            workspace: Of the scenarios.
            what: The scenarios.
            options: How they are run.
            quiet: Whether nothing is shown.
            ask: Whether a person at the terminal decides what is escalated, if nobody else is to.
            scaffold: What drives the model instead of what the options name.

        Raises:
            InputError: Something that is given names nothing, or does not fit.
            EnvironmentFault: This machine cannot isolate an agent.
        """
        decider = decider_for(options.on_escalate, ask=ask)
        planner = workspace.planner(workspace.backend(options.isolation, options.image), decider)
        plans = planner.plans(names(what), options, scaffold=scaffold)
        _note_asleep(workspace, plans, explicit=options.monitors is not None)
        width = options.at_once or usual_width()
        processes = options.processes or processes_for(len(plans), width)
        asks = isinstance(decider, Person) and options.mode == "enforce"
        if asks or options.record:  # one person, one cassette
            processes = 1
        return cls(plans, _view(plans, quiet=quiet), width, processes)

    @classmethod
    def of_fork(
        cls,
        workspace: Workspace,
        store: Store,
        row: RunRow,
        change: ForkChange,
        *,
        quiet: bool = False,
        ask: bool = False,
    ) -> RunBatch:
        """Plan the fork of a run; see :meth:`of` and :func:`sandbox.runs.fork_plan.plan_fork`."""
        start_of(store, row)
        texts = {name: value for name, value in change.options.items() if isinstance(value, str)}
        decider = decider_for(texts.get("on_escalate"), ask=ask)
        backend = workspace.backend(texts.get("isolation", row.isolation), texts.get("image"))
        plans = [plan_fork(store, row, change, workspace.planner(backend, decider))]
        return cls(plans, _view(plans, quiet=quiet))

    def execute(self, store: Store, stop_on: Sequence[signal.Signals] = ()) -> Results:
        """Execute them; see :func:`sandbox.api.execution.execute_plans`."""
        return self.results(
            execute_plans(self.plans, store, self.view, self.width, self.processes, stop_on)
        )

    def results(self, runs: Sequence[RunResult]) -> Results:
        """Return results with what watched the runs."""
        awake = {f.name for plan in self.plans for f in plan.families if not f.lacks_model}
        return Results(tuple(runs), tuple(sorted(awake)))


def _view(plans: Sequence[RunPlan], *, quiet: bool) -> LiveView:
    view, decider = LiveView(len(plans), quiet=quiet), plans[0].decider
    if isinstance(decider, Person):
        decider.view = view
    return view


def _note_asleep(workspace: Workspace, plans: Sequence[RunPlan], *, explicit: bool) -> None:
    """Note which judges are not asked, if someone named them: a run they do not see is not fine."""
    watched = [plan for plan in plans if explicit or plan.instance.scenario.monitors is not None]
    asleep = sorted({family.name for p in watched for family in p.families if family.lacks_model})
    if asleep:
        workspace.note(
            f"not asked, as they have no model: {', '.join(asleep)}; name one with --judge-model"
        )
