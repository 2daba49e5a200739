"""Where content is found: the workspace first, then the installed library, then plug-ins.

Engine and content meet by name only. Nothing here runs or imports what it finds.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

PLUGIN_GROUP = "sandbox.content"
"""Entry points of this group name a package that holds the same folders."""


def find_workspace(start: Path) -> Path:
    """Return the nearest folder at or above ``start`` that holds content, else ``start``."""
    for folder in (start, *start.parents):
        if (folder / "scenarios").is_dir() and (folder / "tools").is_dir():
            return folder
    return start


@cache
def library() -> Path:
    """Return the folder of the content that comes with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "library"
    return installed if installed.is_dir() else package.parent


@cache
def _plugins() -> tuple[Path, ...]:
    places = []
    for point in sorted(entry_points(group=PLUGIN_GROUP), key=lambda point: point.name):
        spec = importlib.util.find_spec(point.value.split(":")[0])
        if spec and spec.submodule_search_locations:
            places.append(Path(next(iter(spec.submodule_search_locations))))
    return tuple(places)


@dataclass(frozen=True)
class Content:
    """The content that one workspace sees."""

    workspace: Path

    def roots(self) -> tuple[Path, ...]:
        """Return the folders to look in, the first one winning."""
        return tuple(dict.fromkeys((self.workspace.resolve(), library(), *_plugins())))

    def files(self, folder: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
        """Return the files directly in a content folder, by stem; earlier roots win."""
        found: dict[str, Path] = {}
        for root in self.roots():
            for path in sorted((root / folder).glob("*")):
                if path.suffix in suffixes and not path.name.startswith(("_", ".")):
                    found.setdefault(path.stem, path)
        return found

    def scenarios(self) -> dict[str, Path]:
        """Return the folder of every scenario by id; earlier roots win."""
        found: dict[str, Path] = {}
        for root in self.roots():
            for folder in scenario_folders(root / "scenarios"):
                found.setdefault(scenario_id(folder), folder)
        return found


def scenario_folders(top: Path) -> Iterator[Path]:
    """Yield every scenario folder at or below a folder, in order of name."""
    for file in sorted(top.rglob("scenario.yaml")):
        yield file.parent


def scenario_id(folder: Path) -> str:
    """Return the id that a scenario in this folder must have: its path below ``scenarios``."""
    parts = folder.resolve().parts
    if "scenarios" in parts:
        last = len(parts) - 1 - parts[::-1].index("scenarios")
        if last < len(parts) - 1:
            return "/".join(parts[last + 1 :])
    return "/".join(parts[-2:])
