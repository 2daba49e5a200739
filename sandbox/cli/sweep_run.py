"""Executing a sweep from the command line: here or on a cluster, with a view, told of at the end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sandbox.cli.output import console, note, print_json
from sandbox.cli.settings import Settings, reap
from sandbox.errors import EnvironmentFault, InputError, SandboxError, internal, nearest

if TYPE_CHECKING:
    from sandbox.sweeps.lifecycle import Executor
    from sandbox.sweeps.spec import SweepFile
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.tables import SweepRow
    from sandbox.trace.store import Store

_UNBOUND = 1_000_000


@dataclass(frozen=True)
class Manner:
    """How a sweep is executed and told of."""

    at_once: int | None
    cluster: str | None
    fail_on: str | None
    notify: Sequence[str]
    as_json: bool
    processes: int | None = None
    log: Path | None = None
    """File that the log is added to."""
    scheduled: bool = False
    """Whether a scheduler started it."""

    @property
    def logs_to_stderr(self) -> bool:
        """Whether the log is written to stderr: a journal, a mail, or the user who asked for it."""
        from sandbox.sweeps.log import VARIABLE

        return self.scheduled or VARIABLE in os.environ

    def check(self) -> None:
        """Check it before anything begins.

        Raises:
            InputError: Something in it is not understood.
        """
        from sandbox.cli.run import FAIL_ON
        from sandbox.sweeps import notify

        if self.fail_on is not None and self.fail_on not in FAIL_ON:
            raise InputError(
                f"--fail-on: unknown value {self.fail_on!r}{nearest(self.fail_on, FAIL_ON)}"
            )
        notify.check(self.notify)

    def width(self, spec: SweepFile) -> int:
        """Return how many runs there are at once."""
        from sandbox.cli.run import usual_width

        return self.at_once or spec.concurrency.containers or usual_width()


@contextmanager
def reported(name: str, manner: Manner) -> Iterator[None]:
    """Write the log while a sweep is executed, and tell people if it fails."""
    from sandbox.sweeps import notify
    from sandbox.sweeps.log import log, logging_to

    with logging_to(manner.log, stderr=manner.logs_to_stderr):
        try:
            yield
        except Exception as error:
            said = str(error) if isinstance(error, SandboxError) else internal(error)
            log("sweep.failed", level=logging.ERROR, name=name, reason=said)
            tell(manner.notify, notify.failure(name, said))
            raise
        except KeyboardInterrupt:
            log("sweep.stopped", level=logging.WARNING, name=name)
            tell(manner.notify, notify.failure(name, "It was stopped; it can be resumed."))
            raise


def tell(urls: Sequence[str], message: tuple[str, str]) -> None:
    """Send a message; one that cannot be sent stops nothing."""
    from sandbox.sweeps import notify

    try:
        notify.send(urls, *message)
    except SandboxError as error:
        note(f"nobody could be told: {error}")


def with_budget(spec: SweepFile, given: Sequence[str]) -> SweepFile:
    """Return a sweep file with budgets in place of its own."""
    from pydantic import ValidationError

    from sandbox.sweeps.budget import UNITS
    from sandbox.sweeps.spec import Budget as Spent

    values: dict[str, Any] = spec.budget.model_dump()
    for item in given:
        name, _, value = item.partition("=")
        if name not in UNITS:
            raise InputError(f"--budget: unknown key {name!r}{nearest(name, UNITS)}")
        values[name] = value
    try:
        return spec.model_copy(update={"budget": Spent.model_validate(values)})
    except ValidationError as error:
        raise InputError(f"--budget: {error.errors()[0]['msg'].lower()}") from None


def print_plan(
    settings: Settings, spec: SweepFile, items: Iterator[dict[str, Any]], manner: Manner
) -> None:
    """Print what a sweep would run, and what it will probably cost and take."""
    from sandbox.cli import sweep_view
    from sandbox.sweeps.estimate import plan

    with settings.open_store(reading=True) as store:
        made = plan(spec, items, store, manner.width(spec))
    if not made.runs:
        raise InputError("the sweep has no runs: what it names was all excluded")
    if manner.as_json:
        print_json(made.as_data())
    else:
        sweep_view.print_plan(made, manner.width(spec))


def go(
    settings: Settings,
    store: Store,
    row: SweepRow,
    spec: SweepFile,
    manner: Manner,
    before: SweepRow | None = None,
) -> None:
    """Execute what is left of a sweep, tell how it ended, exit with what came of it.

    Args:
        settings: What stands before the command.
        store: Where it stands.
        row: The sweep.
        spec: Its file, with budgets as they hold this time.
        manner: How.
        before: The night before, where it did not come to its end.
    """
    from sandbox.cli.sweep_view import SweepView
    from sandbox.sweeps import notify
    from sandbox.sweeps.lifecycle import claimed, conduct
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.sweep_state import Course

    sweeps = Sweeps(store)
    width = _UNBOUND if manner.cluster else manner.width(spec)  # a scheduler knows its workers
    with (
        claimed(store, row) as claim,
        _executor(settings, store, row, spec, manner) as executor,
        SweepView(row, quiet=manner.as_json or manner.logs_to_stderr) as view,
    ):
        course = Course.of(sweeps, sweeps.get(row.id), spec, width, view.done)
        view.shows(course)
        row = _together(conduct(store, claim, course, executor), row)
        _retain(store, row, spec)
    tell(manner.notify, notify.summary(sweeps, row, before=before))
    if manner.as_json:
        print_sweep_json(sweeps, row)
    else:
        print_rates(course.shown.parts)
        print_row(sweeps, row)
        print_faults(sweeps, row)
        print_next(settings, sweeps, row)
    _exit(sweeps, row, manner.fail_on)


@contextmanager
def _executor(
    settings: Settings, store: Store, row: SweepRow, spec: SweepFile, manner: Manner
) -> Iterator[Executor]:
    """Give what executes the sweep: a cluster, or this machine with all its processors."""
    if manner.cluster:
        yield _on_cluster(settings, store, row, spec, manner.cluster)
        return
    from sandbox.isolation.backends import backend
    from sandbox.models.resolve import check_keys
    from sandbox.runs.worker_pool import processes_for, spread
    from sandbox.sweeps.item_plans import Planner
    from sandbox.sweeps.local import WATCHED, Machine, made_by
    from sandbox.sweeps.store import Sweeps

    for name in (*spec.models, *spec.judge_models()):
        check_keys(name)
    chosen = backend(spec.isolation, spec.image)
    reap(chosen)
    planner = Planner(settings.loader, settings.library, chosen, row.scenarios, spec.retries)
    planner.check()
    width, left = manner.width(spec), Sweeps(store).counts(row.id)[()].left
    processes = manner.processes or processes_for(left, width)
    with spread(made_by(planner), store, processes, WATCHED) as runner:
        yield Machine(runner, planner, width)


def _together(work: Any, row: SweepRow) -> SweepRow:
    async def stoppable() -> SweepRow:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        ended: SweepRow = await work
        return ended

    try:
        return asyncio.run(stoppable())
    except (asyncio.CancelledError, KeyboardInterrupt):
        note(f"stopped: what had finished is stored. Go on: sandbox sweep resume {row.id}")
        raise KeyboardInterrupt from None


def print_sweep_json(sweeps: Sweeps, row: SweepRow) -> None:
    """Print a sweep with all its runs, one at a time: there may be more than memory holds."""
    head = json.dumps(as_data(sweeps, row), indent=2)
    sys.stdout.write(head.removesuffix("\n}") + ',\n  "runs": [')
    for index, (_, result) in enumerate(sweeps.results(row.id)):
        sys.stdout.write(("," if index else "") + "\n    " + json.dumps(result))
    sys.stdout.write("\n  ]\n}\n")


def as_data(sweeps: Sweeps, row: SweepRow) -> dict[str, Any]:
    """Return a sweep as JSON data, its runs left out."""
    counts = sweeps.counts(row.id)[()]
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "reason": row.reason,
        "created": row.created,
        "ended": row.ended,
        "seconds": row.seconds,
        "planned": counts.planned,
        "done": counts.finished,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "tokens": counts.tokens,
        "cost_eur": round(counts.cost_eur, 6),
        "energy_kwh": counts.energy_kwh or None,
        "judges": {"tokens": counts.judge_tokens, "cost_eur": round(counts.judge_cost_eur, 6)},
    }


def print_row(sweeps: Sweeps, row: SweepRow) -> None:
    """Print how far a sweep has come."""
    counts = sweeps.counts(row.id)[()]
    reason = f": {row.reason}" if row.reason else ""
    facts = [
        f"{counts.finished}/{counts.planned} runs",
        *([f"{counts.failed} failed"] if counts.failed else []),
        *([f"{counts.skipped} left out, enough is known"] if counts.skipped else []),
        f"{row.seconds:.0f} s",
        f"{counts.tokens} tokens",
        f"{counts.cost_eur:.4f} €",
        *(
            [f"judges {counts.judge_tokens} tokens, {counts.judge_cost_eur:.4f} €"]
            if counts.judge_tokens
            else []
        ),
    ]
    note(f"sweep {row.id} ({row.name}) is {row.status}{reason}")
    note(", ".join(facts))


def print_faults(sweeps: Sweeps, row: SweepRow) -> None:
    """Print why runs ended in an error."""
    from sandbox.reports.summary import reasons

    if sweeps.counts(row.id)[()].failed:
        results = (result for _, result in sweeps.results(row.id))
        for reason in reasons(r.get("reason", "") for r in results if r.get("task") == "error"):
            note(reason)


def print_rates(parts: Any) -> None:
    """Print the rates of parts of a sweep."""
    from sandbox.cli.sweep_view import rates_table

    console().print(rates_table(parts, width=console().width))


def print_next(settings: Settings, sweeps: Sweeps, row: SweepRow) -> None:
    """Print how to go on with a sweep."""
    where = f"--store {settings.store_url} " if settings.store_url else ""
    if row.status != "running" and sweeps.counts(row.id)[()].left:
        note(f"next: sandbox {where}sweep resume {row.id}")


def _exit(sweeps: Sweeps, row: SweepRow, fail_on: str | None) -> None:
    from sandbox.cli.run import FAIL_ON

    if fail_on and any(
        outcome.safety in FAIL_ON[fail_on] for _, outcome in sweeps.outcomes(row.id)
    ):
        raise typer.Exit(1)
    if row.status != "finished" or sweeps.counts(row.id)[()].failed:
        raise typer.Exit(EnvironmentFault.exit_code)


def _retain(store: Store, row: SweepRow, spec: SweepFile) -> None:
    """Delete nights that are older than the file says."""
    from sandbox.sweeps.retention import retain

    if spec.retention is None or row.status != "finished":
        return
    keep = spec.baseline.sweep if spec.baseline else None
    purged = retain(store, row, spec.retention.nights, keep=keep)
    if purged.runs:
        note(f"{purged.runs} runs of earlier nights were purged, as the file says")


def _on_cluster(
    settings: Settings, store: Store, row: SweepRow, spec: SweepFile, address: str
) -> Executor:
    from importlib.metadata import version

    from sandbox.isolation.process_identity import Owner
    from sandbox.sweeps.cluster import Cluster
    from sandbox.sweeps.worker import Setup

    setup = Setup(
        sweep=row.id,
        version=version("agent-risk-sandbox"),
        workspace=str(settings.workspace.resolve()),
        isolation=spec.isolation,
        image=spec.image,
        digests=row.scenarios,
        retries=spec.retries,
        store=None if store.url.startswith("sqlite") else store.url,
        owner=Owner.current().label,
    )
    return Cluster(store, setup, address)
