"""``sandbox init``: a new workspace with one working scenario, tool and monitor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.output import Json, console, note, print_json
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
    made = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    if as_json:
        print_json({"workspace": str(folder), "files": made})
        return
    for path in made:
        note(f"made {path}")
    console().print(f"next: cd {folder} && sandbox scenario check scenarios/", style="bold")


def copy_scenario(workspace: Path, name: str) -> list[Path]:
    """Copy the template's scenario and its twin under a new id; return the folders made.

    Raises:
        InputError: There is one of that name.
    """
    made = []
    for suffix in ("", "-benign"):
        target = workspace / "scenarios" / f"{name}{suffix}"
        if target.exists():
            raise InputError(f"{target} is there already")
        shutil.copytree(TEMPLATE / "scenarios" / f"{EXAMPLE}{suffix}", target)
        for path in target.rglob("*.yaml"):
            path.write_text(path.read_text("utf-8").replace(EXAMPLE, name), "utf-8")
        made.append(target)
    return made
