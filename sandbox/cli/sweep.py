"""``sandbox sweep``: a file is executed; ``status``, ``resume`` and ``list`` tell of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sandbox.cli.context import Settings, reap
from sandbox.cli.output import Json, console, note, print_json, table
from sandbox.errors import EnvironmentFault, InputError, nearest

if TYPE_CHECKING:
    from sandbox.sweeps.conduct import Executor
    from sandbox.sweeps.course import Course
    from sandbox.sweeps.spec import SweepFile
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.tables import SweepRow
    from sandbox.trace.store import Store


class FileOrCommand(TyperGroup):
    """``sandbox sweep FILE``: what is none of the commands is a file to ``start``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["start", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=FileOrCommand,
    help="Execute a matrix of runs from a file: sandbox sweep FILE.",
    no_args_is_help=True,
)

AtOnce = Annotated[
    int | None, typer.Option("--at-once", "-j", min=1, help="Runs at the same time.")
]
Cluster = Annotated[
    str | None,
    typer.Option(help="Scheduler of a Dask cluster, such as tcp://HOST:8786.", metavar="ADDRESS"),
]
Budget = Annotated[
    list[str] | None,
    typer.Option(
        help="tokens, eur, kwh or seconds=NUMBER in place of the file's; repeatable.",
        metavar="KEY=VALUE",
    ),
]
FailOn = Annotated[
    str | None, typer.Option(help="Exit with 1 where a run is unsafe, or attempted.")
]
Sweep = Annotated[str, typer.Argument(help="Id, a beginning of it, or a name.", metavar="SWEEP")]


@app.command("start")
def start(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The sweep file.", metavar="FILE")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print matrix, cost and time; run nothing.")
    ] = False,
    at_once: AtOnce = None,
    cluster: Cluster = None,
    budget: Budget = None,
    fail_on: FailOn = None,
    as_json: Json = False,
) -> None:
    """Execute a sweep file; 'sandbox sweep FILE' is the same.

    The exit status is 0 where it came to its end, 1 by --fail-on, 3 where runs or the sweep failed or
    a budget ended it, 130 where it was stopped.
    """
    from sandbox.sweeps import matrix, spec
    from sandbox.sweeps.store import NewSweep, Sweeps

    _check_fail_on(fail_on)
    settings = Settings.of(context)
    chosen, document = spec.read(file)
    chosen = _with_budget(chosen, budget or [])
    made = matrix.prepare(chosen, document, settings.loader, settings.library)
    width = _width(chosen, at_once)
    if dry_run:
        _print_plan(settings, chosen, made.items(), width, as_json)
        return
    with settings.open_store() as store:
        new = NewSweep(
            chosen.name, chosen.model_dump(mode="json", by_alias=True), made.digests(), made.items()
        )
        row = Sweeps(store).create(new)
        _go(settings, store, row, chosen, width, cluster, fail_on, as_json)


@app.command()
def resume(
    context: typer.Context,
    sweep: Sweep,
    at_once: AtOnce = None,
    cluster: Cluster = None,
    budget: Budget = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Run again what a fault of the environment ended.")
    ] = False,
    fail_on: FailOn = None,
    as_json: Json = False,
) -> None:
    """Go on with a sweep that was stopped, killed or ran out of budget: what is done stays done."""
    from sandbox.sweeps.spec import SweepFile
    from sandbox.sweeps.store import Sweeps

    _check_fail_on(fail_on)
    settings = Settings.of(context)
    with settings.open_store() as store:
        row = Sweeps(store).get(sweep)
        chosen = _with_budget(SweepFile.model_validate(row.spec), budget or [])
        if failed:
            note(f"{Sweeps(store).retry_failed(row.id)} failed runs are planned again")
        _go(settings, store, row, chosen, _width(chosen, at_once), cluster, fail_on, as_json)


@app.command()
def status(context: typer.Context, sweep: Sweep, as_json: Json = False) -> None:
    """Show how far a sweep has come, and its rates so far."""
    from sandbox.cli.sweep_view import rates_table
    from sandbox.sweeps.course import SHOWN_BY
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.tally import Tallies

    settings = Settings.of(context)
    with settings.open_store(reading=True) as store:
        sweeps = Sweeps(store)
        row = sweeps.get(sweep)
        if as_json:
            _print_json(sweeps, row)
            return
        parts = Tallies(SHOWN_BY, sweeps.outcomes(row.id, *SHOWN_BY)).parts
        _print_row(sweeps, row)
        console().print(rates_table(parts, width=console().width))
        _print_next(settings, sweeps, row)


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Sweeps of one name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List sweeps, newest first."""
    from datetime import UTC, datetime

    from sandbox.sweeps.store import Sweeps

    with Settings.of(context).open_store(reading=True) as store:
        sweeps = Sweeps(store)
        rows = sweeps.list(name=name, limit=limit)
        if as_json:
            print_json({"sweeps": [_as_data(sweeps, row) for row in rows]})
            return
        told = []
        for row in rows:
            counts = sweeps.counts(row.id)[()]
            made = datetime.fromtimestamp(row.created, UTC).strftime("%Y-%m-%d %H:%M")
            done = f"{counts.finished}/{counts.planned}"
            told.append((row.id, row.name, made, row.status, done, counts.failed, row.reason))
        table(("sweep", "name", "begun (UTC)", "status", "runs", "failed", ""), told)


@app.command()
def schema() -> None:
    """Print the JSON Schema of sweep files, for an editor."""
    from sandbox.sweeps.spec import SweepFile

    print_json(SweepFile.model_json_schema(by_alias=True))


def _check_fail_on(fail_on: str | None) -> None:
    from sandbox.cli.run import FAIL_ON

    if fail_on is not None and fail_on not in FAIL_ON:
        raise InputError(f"--fail-on: unknown value {fail_on!r}{nearest(fail_on, FAIL_ON)}")


def _with_budget(spec: SweepFile, given: list[str]) -> SweepFile:
    from pydantic import ValidationError

    from sandbox.sweeps.spec import Budget as Spent
    from sandbox.sweeps.spending import UNITS

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


def _width(spec: SweepFile, at_once: int | None) -> int:
    return at_once or spec.concurrency.containers or 2 * (os.cpu_count() or 1) + 2


def _print_plan(
    settings: Settings, spec: SweepFile, items: Iterator[dict[str, Any]], width: int, as_json: bool
) -> None:
    from sandbox.cli import sweep_view
    from sandbox.sweeps.estimate import plan

    with settings.open_store(reading=True) as store:
        made = plan(spec, items, store, width)
    if not made.runs:
        raise InputError("the sweep has no runs: what it names was all excluded")
    if as_json:
        print_json(made.as_data())
    else:
        sweep_view.print_plan(made, width)


def _go(
    settings: Settings, store: Store, row: SweepRow, spec: SweepFile, width: int,
    cluster: str | None, fail_on: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Execute what is left of a sweep, print how it ended, exit with what came of it."""
    from sandbox.cli.sweep_view import SweepView
    from sandbox.sweeps.conduct import claimed, conduct
    from sandbox.sweeps.course import Course
    from sandbox.sweeps.store import Sweeps

    sweeps = Sweeps(store)
    with claimed(store, row) as claim, SweepView(row, quiet=as_json) as view:
        if cluster:
            executor, width = _on_cluster(settings, store, row, spec, cluster)
        else:
            executor = _on_machine(settings, store, row, spec, width)
        course = Course.of(sweeps, sweeps.get(row.id), spec, width, view.done)
        view.shows(course)
        row = _together(conduct(store, claim, course, executor), row)
        _retain(store, row, spec)
    if as_json:
        _print_json(sweeps, row)
    else:
        _print_end(settings, sweeps, row, course)
    _exit(sweeps, row, fail_on)


def _on_machine(
    settings: Settings, store: Store, row: SweepRow, spec: SweepFile, width: int
) -> Executor:
    from sandbox.isolation.choose import backend
    from sandbox.sweeps.local import Machine
    from sandbox.sweeps.planning import Planner

    chosen = backend(spec.isolation, spec.image)
    reap(chosen)
    planner = Planner(settings.loader, settings.library, chosen, row.scenarios, spec.retries)
    planner.check()
    return Machine(store, planner, width)


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


def _print_json(sweeps: Sweeps, row: SweepRow) -> None:
    """Print a sweep with all its runs, one at a time: there may be more than memory holds."""
    head = json.dumps(_as_data(sweeps, row), indent=2)
    sys.stdout.write(head.removesuffix("\n}") + ',\n  "runs": [')
    for index, (_, result) in enumerate(sweeps.results(row.id)):
        sys.stdout.write(("," if index else "") + "\n    " + json.dumps(result))
    sys.stdout.write("\n  ]\n}\n")


def _as_data(sweeps: Sweeps, row: SweepRow) -> dict[str, Any]:
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
    }


def _print_row(sweeps: Sweeps, row: SweepRow) -> None:
    counts = sweeps.counts(row.id)[()]
    reason = f": {row.reason}" if row.reason else ""
    facts = [
        f"{counts.finished}/{counts.planned} runs",
        *([f"{counts.failed} failed"] if counts.failed else []),
        *([f"{counts.skipped} left out, enough is known"] if counts.skipped else []),
        f"{row.seconds:.0f} s",
        f"{counts.tokens} tokens",
        f"{counts.cost_eur:.4f} €",
    ]
    note(f"sweep {row.id} ({row.name}) is {row.status}{reason}")
    note(", ".join(facts))


def _print_end(settings: Settings, sweeps: Sweeps, row: SweepRow, course: Course) -> None:
    from sandbox.cli.sweep_view import rates_table

    console().print(rates_table(course.shown.parts, width=console().width))
    _print_row(sweeps, row)
    _print_next(settings, sweeps, row)


def _print_next(settings: Settings, sweeps: Sweeps, row: SweepRow) -> None:
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


def _on_cluster(
    settings: Settings, store: Store, row: SweepRow, spec: SweepFile, address: str
) -> tuple[Executor, int]:
    raise InputError("--cluster: not there yet")
