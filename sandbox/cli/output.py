"""Printing: tables for people on stdout, one JSON document with ``--json``, notes on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.api.terminal import errors, note
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Json", "complain", "console", "errors", "note", "print_json", "table", "time_of"]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@cache
def console() -> Console:
    """Return the console of stdout; markup in texts is never obeyed."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False)


def print_json(data: Any) -> None:
    """Print one JSON document; plain ASCII, so that nothing in it can act on a terminal."""
    json.dump(data, sys.stdout, indent=2)
    sys.stdout.write("\n")


def complain(error: SandboxError) -> None:
    """Print an error for its user."""
    from rich.text import Text

    from sandbox.terminal_escape import plain

    errors().print(
        Text("error: ", style="red bold").append(plain(str(error)), style=""), soft_wrap=True
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; cells are text, rich renderables pass as they are."""
    from rich.table import Table
    from rich.text import Text

    from sandbox.terminal_escape import plain

    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for index, heading in enumerate(headings):
        made.add_column(heading, overflow="fold", no_wrap=index == 0)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else plain(str(cell)) for cell in row))
    console().print(made)


def time_of(at: float) -> str:
    """Return a moment as people read it, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
