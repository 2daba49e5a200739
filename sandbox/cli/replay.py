"""``sandbox replay``."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox.cli.context import Settings
from sandbox.cli.output import Json, console, print_json


def replay(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="A run, or the beginning of its id.")],
    text: Annotated[
        bool, typer.Option("--text", help="As text; the only form in this version.")
    ] = True,
    full: Annotated[
        bool, typer.Option("--full", help="Whole texts, not their first lines.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell a run event by event."""
    from sandbox.report.replay import tell

    with Settings.of(context).open_store(reading=True) as store:
        row = store.run(run)
        if as_json:
            events = [
                {
                    "seq": e.seq,
                    "at": e.at,
                    "kind": e.kind,
                    "agent": e.agent,
                    "data": store.content(e),
                    "hash": e.hash,
                }
                for e in store.events(row.id)
            ]
            print_json({"id": row.id, "events": events})
            return
        for line in tell(store, row, full=full):
            console().print(line, soft_wrap=not console().is_terminal)
