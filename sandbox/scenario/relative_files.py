"""Files beside the one that names them: within the scenario's folder, per language."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import Problem, ScenarioError
from sandbox.scenario import yaml_positions
from sandbox.scenario.yaml_positions import Located

TREE_LIMIT = 16 * 1024 * 1024
"""Bytes of all files of a kind that a world starts with."""


class Beside:
    """Finds what a document names. What leaves the document's folder is refused."""

    def __init__(self, folder: Path, document: Located) -> None:
        """Look for the names in a document.

        Args:
            folder: The scenario's folder, for parts of the document that stand in no file.
            document: What names the files.
        """
        self._folder = folder
        self._document = document

    def path(self, name: str, place: tuple[str, ...]) -> Path:
        """Return the path of a file or folder.

        Raises:
            ScenarioError: It is not there, or it leaves the folder.
        """
        declared, line = self._document.place(place)
        home = Path(declared).resolve().parent if declared else self._folder.resolve()
        path = home / name
        try:
            leaves = Path(name).is_absolute() or not path.resolve().is_relative_to(home)
            exists = path.exists()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a circle of links, a NUL
            message = f"{name[:60]!r} cannot be the path of a file"
            raise ScenarioError([Problem(declared, line, message)]) from error
        if leaves:
            raise ScenarioError([Problem(declared, line, f"{name!r} leaves the scenario's folder")])
        if not exists:
            raise ScenarioError([Problem(declared, line, f"there is no {name!r} beside this file")])
        return path

    def document(self, name: str, place: tuple[str, ...], lang: str) -> Located:
        """Return a YAML file, or the one for the language (``mail.fr.yaml``) where there is one."""
        path = _localised(self.path(name, place), lang)
        self.path(str(Path(name).with_name(path.name)), place)
        return yaml_positions.load(path, shown=yaml_positions.shown(path))

    def tree(
        self, name: str, place: tuple[str, ...], lang: str, left: int = TREE_LIMIT
    ) -> dict[str, bytes]:
        """Return the files of a folder by path, those of ``NAME.LANG`` laid over it.

        Raises:
            ScenarioError: It is no folder, holds what is no regular file, or more bytes than
                are left.
        """
        folder = self.path(name, place)
        if not folder.is_dir():
            raise ScenarioError([self._document.problem(place, f"{name!r} is not a folder")])
        localised = folder.with_name(f"{folder.name}.{lang}")
        merged = {n: p for top in (folder, localised) if top.is_dir() for n, p in _tree(top)}
        found: dict[str, bytes] = {}
        for below, path in sorted(merged.items()):
            self.path(str(Path(name).parent / path.relative_to(folder.parent)), place)
            if path.is_symlink() or not path.is_file():
                message = f"{below!r} in {name!r} is not a regular file"
                raise ScenarioError([self._document.problem(place, message)])
            found[below] = path.read_bytes()
            left -= len(found[below])
            if left < 0:
                message = f"{name!r} holds more than {TREE_LIMIT // 1024 // 1024} MiB"
                raise ScenarioError([self._document.problem(place, message)])
        return found


def _tree(top: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(top.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            yield str(path.relative_to(top)), path


def _localised(path: Path, lang: str) -> Path:
    other = path.with_name(f"{path.stem}.{lang}{path.suffix}")
    return other if other.is_file() else path
