"""What stands before every command: where content and runs are, and whether tracebacks are shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import typer

from sandbox.api.workspace import Workspace


@dataclass(frozen=True)
class Settings(Workspace):
    """The workspace of a command."""

    debug: bool = False

    @classmethod
    def of(cls, context: typer.Context) -> Settings:
        """Return the settings of a command's context."""
        found = context.find_object(cls)
        assert found is not None
        return found

    @property
    def flags(self) -> str:
        """What a command that is printed for a person repeats of them."""
        given = {"--store": self.store_url, "--workspace": self.given_folder}
        return "".join(
            f"{flag} {shlex.quote(str(value))} " for flag, value in given.items() if value
        )
