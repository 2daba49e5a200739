"""``sandbox sweep``: a file is executed; ``status``, ``resume`` and ``list`` show how far it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sandbox.api.sweeping import enter, prepare, with_budget
from sandbox.attestation import signatures, statement
from sandbox.cli.command import Json, Settings, note, print_json, reply, table, time_of
from sandbox.cli.options import takes
from sandbox.cli.run import FailOn
from sandbox.cli.sweep_run import Manner, as_data, go, print_plan, print_sweep, reported
from sandbox.sweeps import scheduled_run
from sandbox.sweeps.log import log as write_log
from sandbox.sweeps.manifest import manifest as state
from sandbox.sweeps.matrix import Matrix
from sandbox.sweeps.options import SweepOptions
from sandbox.sweeps.running_rates import Tallies
from sandbox.sweeps.schedule.recurrence import When
from sandbox.sweeps.spec import SweepFile
from sandbox.sweeps.store import Sweeps
from sandbox.sweeps.sweep_state import RATE_FACTORS
from sandbox.sweeps.tables import SweepRow
from sandbox.trace.store import Store

Notify = Annotated[
    list[str] | None,
    typer.Option(
        envvar="SANDBOX_NOTIFY",
        help="Address of a service that Apprise knows, to tell how it ended; repeatable.",
        metavar="URL",
        show_envvar=True,
    ),
]
Night = Annotated[
    str | None,
    typer.Option(
        help="As a scheduler's night due at that time: resume it, or begin it, or do nothing.",
        metavar="TIME",
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(help="File that a log is added to, one line a record.", metavar="FILE"),
]
Sweep = Annotated[str, typer.Argument(help="Id, a beginning of it, or a name.", metavar="SWEEP")]


@takes(SweepOptions)
def start(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The sweep file.", metavar="FILE")],
    options: SweepOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print matrix, cost and time; run nothing.")
    ] = False,
    fail_on: FailOn = None,
    notify: Notify = None,
    night: Night = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Execute a sweep file; 'sandbox sweep FILE' is the same.

    The exit status is 0 if it was finished, 1 by --fail-on, 3 if runs or the sweep failed or a budget
    ended it, 130 if it was stopped.
    """
    settings = Settings.of(context)
    manner = Manner(options, fail_on, notify or (), as_json, log, night is not None)
    manner.check()
    with reported(file.stem, replace(manner, notify=()) if dry_run else manner):
        matrix = prepare(settings, file, options.budget)
        if dry_run:
            print_plan(settings, matrix, manner)
            return
        with settings.open_store() as store:
            row, before = _begin(store, matrix, night)
            if row is not None:
                go(settings, store, row, matrix.spec, manner, before)


def _begin(
    store: Store, matrix: Matrix, night: str | None
) -> tuple[SweepRow | None, SweepRow | None]:
    """Return the sweep to execute, if any, and the night before if it was not finished."""
    due = scheduled_run.NightPlan()
    if night is not None:
        now = datetime.now().astimezone()
        spec = matrix.spec.model_dump(mode="json", by_alias=True)
        due = scheduled_run.plan_night(store, matrix.spec.name, spec, When.parse(night), now)
    for event, row in (
        ("night.done", due.done),
        ("night.resumed", due.resume),
        ("night.before", due.before),
    ):
        if row is not None:
            reason = row.reason or None
            write_log(event, sweep=row.id, name=row.name, status=row.status, reason=reason)
    if due.done:
        note(f"this night has been executed: sweep {due.done.id}")
        return None, None
    if due.resume:
        note(f"this night is resumed: sweep {due.resume.id}")
    return due.resume or enter(store, matrix), due.before


@takes(SweepOptions)
def resume(
    context: typer.Context,
    sweep: Sweep,
    options: SweepOptions,
    failed: Annotated[
        bool, typer.Option("--failed", help="Run again what a fault of the environment ended.")
    ] = False,
    fail_on: FailOn = None,
    notify: Notify = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Resume a sweep that was stopped, killed or ran out of budget: what is done stays done."""
    settings = Settings.of(context)
    manner = Manner(options, fail_on, notify or (), as_json, log)
    manner.check()
    with settings.open_store() as store:
        row = Sweeps(store).get(sweep)
        spec = with_budget(SweepFile.model_validate(row.spec), options.budget)
        if failed:
            note(f"{Sweeps(store).retry_failed(row.id)} failed runs are planned again")
        with reported(row.name, manner):
            go(settings, store, row, spec, manner)


def status(context: typer.Context, sweep: Sweep, as_json: Json = False) -> None:
    """Show how far a sweep has come, and its rates so far."""
    settings = Settings.of(context)
    with settings.open_store(reading=True) as store:
        sweeps = Sweeps(store)
        row = sweeps.get(sweep)
        rates = Tallies(RATE_FACTORS, sweeps.outcomes(row.id, *RATE_FACTORS)).parts
        print_sweep(settings, sweeps, row, rates, as_json)


def manifest(
    context: typer.Context,
    sweep: Sweep,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="File; SWEEP.manifest.json if left out.", metavar="FILE"),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Private key that signs it.", metavar="KEY")
    ] = None,
    as_json: Json = False,
) -> None:
    """State what a sweep ran, with what, and the head of every chain, signed, in one file.

    'sandbox runs verify FILE --key PUB' proves it, with --stored against the runs of a store.
    """
    secret = signatures.private_key(key) if key else None
    with Settings.of(context).open_store(reading=True) as store:
        row = Sweeps(store).get(sweep)
        predicate = state(store, row)
    target, count = to or Path(f"{row.id}.manifest.json"), len(predicate.runs)
    statement.write(target, predicate, secret)
    text = f"{count} runs of sweep {row.id} stated in {target}"
    reply(as_json, {"sweep": row.id, "to": str(target), "runs": count}, text)
    if key is None and not as_json:
        note("it is not signed; make a key with: sandbox key new DIR")


def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Sweeps of one name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List sweeps, newest first."""
    with Settings.of(context).open_store(reading=True) as store:
        sweeps = Sweeps(store)
        rows = [(row, as_data(sweeps, row)) for row in sweeps.list(name=name, limit=limit)]
    cells = [
        (
            row.id,
            row.name,
            time_of(row.created)[:16],
            row.status,
            f"{data['done']}/{data['planned']}",
            data["failed"],
            row.reason,
        )
        for row, data in rows
    ]
    headings = ("sweep", "name", "begun (UTC)", "status", "runs", "failed", "")
    reply(as_json, {"sweeps": [data for _, data in rows]}, lambda: table(headings, cells))


def schema() -> None:
    """Print the JSON Schema of sweep files, for an editor."""
    print_json(SweepFile.model_json_schema(by_alias=True))
