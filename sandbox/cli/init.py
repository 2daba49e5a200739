"""``sandbox init``: a new workspace with one working scenario, tool and monitor."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.command import Json, console, note, reply
from sandbox.errors import InputError

TEMPLATE = Path(__file__).resolve().parent.parent / "template"
EXAMPLE = "example/borrowed-key"


def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Make a workspace with one working scenario and its twin, one tool and one monitor."""
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty")
    shutil.copytree(
        TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "gitignore").rename(folder / ".gitignore")
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    document = {"workspace": str(folder), "files": files}
    reply(
        as_json,
        document,
        lambda: tell_files(files, f"cd {folder} && sandbox scenario check scenarios/"),
    )


def tell_files(files: Sequence[object], then: str) -> None:
    """Print which files were made, and the next command to try."""
    for path in files:
        note(f"made {path}")
    console().print(f"next: {then}", style="bold")


def copy_scenario(workspace: Path, name: str) -> list[Path]:
    """Copy the template's scenario and its twin under a new id; return the new folders.

    Raises:
        InputError: There is one of that name.
    """
    folders = []
    for suffix in ("", "-benign"):
        target = workspace / "scenarios" / f"{name}{suffix}"
        if target.exists():
            raise InputError(f"{target} is there already")
        shutil.copytree(TEMPLATE / "scenarios" / f"{EXAMPLE}{suffix}", target)
        for path in target.rglob("*.yaml"):
            path.write_text(path.read_text("utf-8").replace(EXAMPLE, name), "utf-8")
        folders.append(target)
    return folders
