"""``sandbox sweep``: a file is executed; ``status``, ``resume`` and ``list`` tell of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sandbox.cli.options import takes
from sandbox.cli.output import Json, note, print_json, table
from sandbox.cli.run import FailOn
from sandbox.cli.settings import Settings
from sandbox.sweeps.options import SweepOptions

if TYPE_CHECKING:
    from sandbox.sweeps.matrix import Matrix
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
        help="As a scheduler's night due at that time: go on with it, or begin it, or do nothing.",
        metavar="TIME",
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(help="File that a log is added to, one line a record.", metavar="FILE"),
]
Sweep = Annotated[str, typer.Argument(help="Id, a beginning of it, or a name.", metavar="SWEEP")]


@app.command("start")
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

    The exit status is 0 where it came to its end, 1 by --fail-on, 3 where runs or the sweep failed or
    a budget ended it, 130 where it was stopped.
    """
    from dataclasses import replace

    from sandbox.api.sweeping import prepared
    from sandbox.cli.sweep_run import Manner, go, print_plan, reported

    settings = Settings.of(context)
    manner = Manner(options, fail_on, notify or (), as_json, log, night is not None)
    manner.check()
    with reported(file.stem, replace(manner, notify=()) if dry_run else manner):
        made = prepared(settings, file, options.budget)
        if dry_run:
            print_plan(settings, made, manner)
            return
        with settings.open_store() as store:
            row, before = _begun(store, made, night)
            if row is not None:
                go(settings, store, row, made.spec, manner, before)


def _begun(
    store: Store, made: Matrix, night: str | None
) -> tuple[SweepRow | None, SweepRow | None]:
    """Return the sweep to execute, if any, and the night before where it did not come to its end."""
    from datetime import datetime

    from sandbox.api.sweeping import enter
    from sandbox.sweeps import scheduled_run
    from sandbox.sweeps.log import log
    from sandbox.sweeps.schedule.recurrence import When

    due = scheduled_run.Night()
    if night is not None:
        now = datetime.now().astimezone()
        spec = made.spec.model_dump(mode="json", by_alias=True)
        due = scheduled_run.night(store, made.spec.name, spec, When.parse(night), now)
    for event, row in (
        ("night.done", due.done),
        ("night.resumed", due.resume),
        ("night.before", due.before),
    ):
        if row is not None:
            log(event, sweep=row.id, name=row.name, status=row.status, reason=row.reason or None)
    if due.done:
        note(f"this night has been: sweep {due.done.id}")
        return None, None
    if due.resume:
        note(f"this night is gone on with: sweep {due.resume.id}")
        return due.resume, due.before
    return enter(store, made), due.before


@app.command()
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
    """Go on with a sweep that was stopped, killed or ran out of budget: what is done stays done."""
    from sandbox.api.sweeping import with_budget
    from sandbox.cli.sweep_run import Manner, go, reported
    from sandbox.sweeps.spec import SweepFile
    from sandbox.sweeps.store import Sweeps

    settings = Settings.of(context)
    manner = Manner(options, fail_on, notify or (), as_json, log)
    manner.check()
    with settings.open_store() as store:
        row = Sweeps(store).get(sweep)
        chosen = with_budget(SweepFile.model_validate(row.spec), options.budget)
        if failed:
            note(f"{Sweeps(store).retry_failed(row.id)} failed runs are planned again")
        with reported(row.name, manner):
            go(settings, store, row, chosen, manner)


@app.command()
def status(context: typer.Context, sweep: Sweep, as_json: Json = False) -> None:
    """Show how far a sweep has come, and its rates so far."""
    from sandbox.cli.sweep_run import print_next, print_rates, print_row, print_sweep_json
    from sandbox.sweeps.running_rates import Tallies
    from sandbox.sweeps.store import Sweeps
    from sandbox.sweeps.sweep_state import SHOWN_BY

    settings = Settings.of(context)
    with settings.open_store(reading=True) as store:
        sweeps = Sweeps(store)
        row = sweeps.get(sweep)
        if as_json:
            print_sweep_json(sweeps, row)
            return
        print_row(sweeps, row)
        print_rates(Tallies(SHOWN_BY, sweeps.outcomes(row.id, *SHOWN_BY)).parts)
        print_next(settings, sweeps, row)


@app.command()
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
    from sandbox.attestation import signatures, statement
    from sandbox.cli.output import console
    from sandbox.sweeps.manifest import manifest as stated
    from sandbox.sweeps.store import Sweeps

    secret = signatures.private_key(key) if key else None
    with Settings.of(context).open_store(reading=True) as store:
        row = Sweeps(store).get(sweep)
        predicate = stated(store, row)
    target = to or Path(f"{row.id}.manifest.json")
    statement.write(target, predicate, secret)
    if as_json:
        print_json({"sweep": row.id, "to": str(target), "runs": len(predicate.runs)})
        return
    console().print(
        f"{len(predicate.runs)} runs of sweep {row.id} stated in {target}", style="bold"
    )
    if key is None:
        note("it is not signed; make a key with: sandbox key new DIR")


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Sweeps of one name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """List sweeps, newest first."""
    from datetime import UTC, datetime

    from sandbox.cli.sweep_run import as_data
    from sandbox.sweeps.store import Sweeps

    with Settings.of(context).open_store(reading=True) as store:
        sweeps = Sweeps(store)
        rows = sweeps.list(name=name, limit=limit)
        if as_json:
            print_json({"sweeps": [as_data(sweeps, row) for row in rows]})
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
