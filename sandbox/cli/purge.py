"""``sandbox runs purge``."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer

from sandbox.cli.command import Json, Settings, console, fields, note, reply, table, time_of
from sandbox.errors import InputError
from sandbox.trace import purging
from sandbox.trace.purging import Needless
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow

_MOST = 20
"""Runs that are shown to people."""


def purge(
    context: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(help="Runs to be removed.")] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="Those whose time of retention is over.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove them; without, say what would be removed.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; stands in the tombstone.", metavar="TEXT")] = "",
    by: Annotated[str | None, typer.Option(help="Who; the name of the login if left out.")] = None,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="Then give the space back to the system.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove the events and texts of runs, and leave a tombstone that proves what was there.

    Without --yes nothing is removed. Texts that other runs name stay, and so do all texts while a
    run is going: the next purge removes them.
    """
    with Settings.of(context).open_store(reading=not yes) as store:
        rows = _rows(store, runs or [], expired=expired)
        forks = _forks(store, rows)
        removed: Needless | None
        if yes:
            who = by or getuser()
            purging.purge(
                store, rows, reason=reason or ("expired" if expired else "on demand"), by=who
            )
            removed = purging.remove_texts(store, who)
            if vacuum:
                purging.vacuum(store)
        else:
            removed = purging.needless(store, (row.id for row in rows))
    document = {
        "purged": yes,
        "runs": [fields(row, "id events retain_until") for row in rows],
        "texts": None if removed is None else len(removed.names),
        "bytes": None if removed is None else removed.bytes,
        "forks": [row.id for row in forks],
    }
    reply(as_json, document, lambda: _print(rows, forks, removed, yes=yes))


def _rows(store: Store, runs: list[str], *, expired: bool) -> list[RunRow]:
    if not runs and not expired:
        raise InputError("name runs, or give --expired")
    rows = {row.id: row for row in map(store.run, runs)}
    for row in rows.values():
        if not purging.removable(row):
            raise InputError(f"run {row.id} is {row.status}: it cannot be purged")
    if expired:
        rows |= {row.id: row for row in purging.expired(store)}
    return list(rows.values())


def _forks(store: Store, rows: list[RunRow]) -> list[RunRow]:
    """Return runs that stay and hold a replay of what is removed."""
    gone = {row.id for row in rows}
    forks = [fork for row in rows for fork in store.runs(parent=row.id)]
    return [fork for fork in forks if fork.id not in gone and purging.removable(fork)]


def _print(rows: list[RunRow], forks: list[RunRow], removed: Needless | None, *, yes: bool) -> None:
    out = console()
    if rows:
        table(
            ("run", "scenario", "model", "events", "kept until"),
            [
                (
                    r.id,
                    r.scenario,
                    r.model,
                    r.events,
                    time_of(r.retain_until)[:10] if r.retain_until else "–",
                )
                for r in rows[:_MOST]
            ],
        )
    if len(rows) > _MOST:
        out.print(f"… {len(rows) - _MOST} more", style="dim")
    texts = f", {len(removed.names)} texts of {removed.bytes} bytes" if removed else ""
    events = sum(row.events for row in rows)
    out.print(
        f"{len(rows)} runs, {events} events{texts}: {'removed' if yes else 'would be removed'}"
    )
    if forks:
        held = ", ".join(row.id for row in forks[:_MOST])
        out.print(f"these forks hold a part of them and stay: {held}", style="yellow")
    if rows and not yes:
        out.print("\nnext: the same with --yes", style="bold")
    if yes and removed is None:
        note("runs are going: texts stay in the store until the next purge, once none is")
