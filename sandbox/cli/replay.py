"""``sandbox replay``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.command import Json, Settings, console, fields, note, print_json
from sandbox.errors import InputError
from sandbox.trace.store import Store
from sandbox.trace.tables import RunRow


def replay(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(help="A run, or the beginning of its id; the list of runs if left out."),
    ] = None,
    beside: Annotated[
        str | None, typer.Option("--beside", help="A second run, side by side.", metavar="RUN")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="As text; this is the default if stdout is no terminal.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="As text, whole texts and not their first lines.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one HTML file that needs nothing else.", metavar="FILE"),
    ] = None,
    light: Annotated[bool, typer.Option("--light", help="Dark letters on a light ground.")] = False,
    as_json: Json = False,
) -> None:
    """Walk through a run event by event, on the screen or as text."""
    on_screen = not (text or full or as_json or html) and sys.stdout.isatty() and sys.stdin.isatty()
    with Settings.of(context).open_store(reading=True) as store:
        if run is None and not on_screen:
            raise InputError("replay as text needs a run: sandbox runs list names them")
        row = store.run(run) if run is not None else None
        other = store.run(beside) if beside is not None else None
        if other is not None and row is None:
            raise InputError("--beside needs a first run before it")
        if on_screen:
            from sandbox.tui.app import ReplayApp

            ReplayApp(store, row.id if row else "", other.id if other else "", light=light).run()
        elif row is not None and html is not None:
            _write(store, row, html)
        elif row is not None and as_json:
            events = [
                fields(event, "seq at kind agent hash") | {"data": store.content(event)}
                for event in store.events(row.id)
            ]
            print_json({"id": row.id, "events": events})
        elif row is not None:
            _print(store, row, full=full)


def _write(store: Store, row: RunRow, path: Path) -> None:
    from sandbox.views.replay_html import pieces

    try:
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces(store, row))
    except OSError as error:
        raise InputError(f"--html: cannot write {path}: {error.strerror or error}") from error
    note(f"wrote {path}")


def _print(store: Store, row: RunRow, *, full: bool) -> None:
    from sandbox.views.replay import tell
    from sandbox.views.replay_notes import Notes

    for line in tell(store, row, full=full, notes=Notes(store, row.id)):
        console().print(line, soft_wrap=not console().is_terminal)
