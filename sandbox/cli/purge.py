"""``sandbox runs purge``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.cli.output import Json, console, note, print_json, table, time_of
from sandbox.cli.settings import Settings
from sandbox.errors import InputError

if TYPE_CHECKING:
    from sandbox.trace.purging import Needless
    from sandbox.trace.store import Store
    from sandbox.trace.tables import RunRow

_SHOWN = 20
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
    from sandbox.trace.purging import needless

    settings = Settings.of(context)
    with settings.open_store(reading=not yes) as store:
        rows = _rows(store, runs or [], expired=expired)
        forks = _forks(store, rows)
        if yes:
            removed = _remove(store, rows, reason or ("expired" if expired else "on demand"), by)
            left = removed is None
            if vacuum:
                from sandbox.trace.purging import vacuum as give_back

                give_back(store)
        else:
            removed, left = needless(store, (row.id for row in rows)), False
    if as_json:
        print_json(
            {
                "purged": yes,
                "runs": [
                    {"id": r.id, "events": r.events, "retain_until": r.retain_until} for r in rows
                ],
                "texts": None if removed is None else len(removed.names),
                "bytes": None if removed is None else removed.bytes,
                "forks": [row.id for row in forks],
            }
        )
        return
    _print(rows, forks, removed, yes=yes)
    if left:
        note("runs are going: texts stay in the store until the next purge, once none is")


def _rows(store: Store, runs: list[str], *, expired: bool) -> list[RunRow]:
    from sandbox.trace.purging import expired as all_expired
    from sandbox.trace.purging import removable

    if not runs and not expired:
        raise InputError("name runs, or give --expired")
    rows = {row.id: row for row in map(store.run, runs)}
    for row in rows.values():
        if not removable(row):
            raise InputError(f"run {row.id} is {row.status}: it cannot be purged")
    if expired:
        rows |= {row.id: row for row in all_expired(store)}
    return list(rows.values())


def _forks(store: Store, rows: list[RunRow]) -> list[RunRow]:
    """Return runs that stay and hold a replay of what is removed."""
    from sandbox.trace.purging import removable

    gone = {row.id for row in rows}
    found = [fork for row in rows for fork in store.runs(parent=row.id)]
    return [fork for fork in found if fork.id not in gone and removable(fork)]


def _remove(store: Store, rows: list[RunRow], reason: str, by: str | None) -> Needless | None:
    from getpass import getuser

    from sandbox.trace.purging import purge as remove
    from sandbox.trace.purging import remove_texts

    who = by or getuser()
    remove(store, rows, reason=reason, by=who)
    return remove_texts(store, who)


def _print(rows: list[RunRow], forks: list[RunRow], removed: Needless | None, *, yes: bool) -> None:

    out = console()
    shown = [
        (
            r.id,
            r.scenario,
            r.model,
            r.events,
            time_of(r.retain_until)[:10] if r.retain_until else "–",
        )
        for r in rows[:_SHOWN]
    ]
    if shown:
        table(("run", "scenario", "model", "events", "kept until"), shown)
    if len(rows) > _SHOWN:
        out.print(f"… {len(rows) - _SHOWN} more", style="dim")
    texts = f", {len(removed.names)} texts of {removed.bytes} bytes" if removed else ""
    events = sum(row.events for row in rows)
    out.print(
        f"{len(rows)} runs, {events} events{texts}: {'removed' if yes else 'would be removed'}"
    )
    if forks:
        held = ", ".join(row.id for row in forks[:_SHOWN])
        out.print(f"these forks hold a part of them and stay: {held}", style="yellow")
    if rows and not yes:
        out.print("\nnext: the same with --yes", style="bold")
