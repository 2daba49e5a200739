"""What every command has: its settings, tables for people on stdout, one JSON document with ``--json``."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.api.terminal import errors, note
from sandbox.api.workspace import Workspace
from sandbox.errors import InputError, SandboxError, nearest
from sandbox.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Json",
    "Settings",
    "check",
    "complain",
    "console",
    "errors",
    "fields",
    "note",
    "print_json",
    "reply",
    "table",
    "time_of",
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


@dataclass(frozen=True)
class Settings(Workspace):
    """The workspace of a command."""

    @classmethod
    def of(cls, context: typer.Context) -> Settings:
        """Return the settings of a command's context."""
        settings = context.find_object(cls)
        assert settings is not None
        return settings

    @property
    def flags(self) -> str:
        """What a command that is printed for a person repeats of them."""
        values = {"--store": self.store_url, "--workspace": self.folder_path}
        return "".join(
            f"{flag} {shlex.quote(str(value))} " for flag, value in values.items() if value
        )


@cache
def console() -> Console:
    """Return the console of stdout; markup in texts is never obeyed."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False)


def print_json(data: object) -> None:
    """Print one JSON document; plain ASCII, so that nothing in it can act on a terminal."""
    json.dump(data, sys.stdout, indent=2)
    sys.stdout.write("\n")


def check(option: str, value: str | None, known: Collection[str]) -> None:
    """Raise an error with the nearest name if an option has an unknown value."""
    if value is not None and value not in known:
        raise InputError(f"{option}: unknown value {value!r}{nearest(value, known)}")


def fields(item: object, names: str) -> dict[str, object]:
    """Return attributes of something for a JSON document, by their names with spaces between."""
    return {name: getattr(item, name) for name in names.split()}


def reply(
    as_json: bool, data: object, text: Callable[[], object] | str, exit_code: int = 0
) -> None:
    """Print what a command answers, and exit if its status is not 0.

    Args:
        as_json: Whether as a JSON document.
        data: The document.
        text: The line for people, or what prints more than a line.
        exit_code: The status.
    """
    if as_json:
        print_json(data)
    elif isinstance(text, str):
        console().print(text, style="bold", soft_wrap=True)
    else:
        text()
    if exit_code:
        raise typer.Exit(exit_code)


def complain(error: SandboxError) -> None:
    """Print an error for its user."""
    from rich.text import Text

    errors().print(
        Text("error: ", style="red bold").append(plain(str(error)), style=""), soft_wrap=True
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; cells are text, rich renderables pass as they are."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for index, heading in enumerate(headings):
        grid.add_column(heading, overflow="fold", no_wrap=index == 0)
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else plain(str(cell)) for cell in row))
    console().print(grid)


def time_of(at: float) -> str:
    """Return a moment as people read it, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
